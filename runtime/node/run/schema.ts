import { z } from "zod";
import { parseJson } from "../../../artifacts/json.ts";
import { readFileBytes } from "../../../artifacts/read-file.ts";
import { didYouMean, UserError } from "../../../graph-builder/errors.ts";

/** Settings by their names in camelCase. Flags, keys of files, defaults, help and messages follow from it. */
export type Schemas = Readonly<Record<string, z.ZodType>>;

/** Settings with every default filled in. */
export type Settings<S extends Schemas> = { readonly [N in keyof S]: z.output<S[N]> };

/** Only the settings that the user gave. */
export type Given<S extends Schemas> = { readonly [N in keyof S]?: NonNullable<z.output<S[N]>> | undefined };

/** The description of a setting in help and messages. */
export interface SettingInfo {
  readonly help: string;
  readonly isSwitch: boolean;
  readonly isNumber: boolean;
  /** Whether it is a list, of numbers where `isNumber`. */
  readonly isList: boolean;
  readonly choices: readonly string[] | undefined;
  readonly default: string | undefined;
  /** The allowed values, for example "a whole number from 1". */
  readonly expectation: string;
}

/** Describes the setting that a schema declares. */
export function describeSetting(setting: z.ZodType): SettingInfo {
  const schema = z.toJSONSchema(setting, { io: "input" });
  const single = schema.type === "array" ? itemOf(schema) : schema;
  return {
    help: schema.description ?? "",
    isSwitch: schema.type === "boolean",
    isNumber: [single, ...(single.anyOf ?? [])].some(({ type }) => type === "integer" || type === "number"),
    isList: schema.type === "array",
    choices: schema.enum?.map(String),
    default: schema.default === undefined ? undefined : String(schema.default),
    expectation: expectationOf(schema),
  };
}

/** The schema of a list's entries. */
function itemOf({ items }: z.core.JSONSchema.BaseSchema): z.core.JSONSchema.BaseSchema {
  return typeof items === "object" && !Array.isArray(items) ? items : {};
}

/** The allowed values; a schema may say them itself, as `expectation` of its metadata. */
function expectationOf(schema: z.core.JSONSchema.BaseSchema): string {
  if (typeof schema["expectation"] === "string") return schema["expectation"];
  if (schema.type !== "array") return expectationOfSingle(schema);
  const { minItems, maxItems } = schema;
  const each = expectationOfSingle(itemOf(schema));
  return minItems !== undefined && minItems === maxItems
    ? `${minItems} values, each ${each}`
    : `one or more values, each ${each}`;
}

function expectationOfSingle({
  type,
  anyOf,
  const: only,
  enum: choices,
  minimum,
  exclusiveMinimum,
  exclusiveMaximum,
  maximum,
}: z.core.JSONSchema.BaseSchema): string {
  if (anyOf) return anyOf.map(expectationOf).join(" or ");
  if (only !== undefined) return String(only);
  if (choices) return `one of ${choices.join(", ")}`;
  if (type === "boolean") return "true or false";
  if (type === "string") return "a text";
  const from = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum}`;
  const top = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? ` to ${maximum}` : "";
  const below = exclusiveMaximum === undefined ? "" : ` and below ${exclusiveMaximum}`;
  return `${type === "integer" ? "a whole number" : "a number"} ${from}${top}${below}`;
}

/** Where settings came from, for messages. */
export interface SettingSource {
  /** Names a setting where it was given: a flag, or a key of a file. */
  readonly label: (name: string) => string;
  /** The noun in the message about an unknown name: "a flag of shake train". */
  readonly what: string;
}

/**
 * Checks the settings that the user gave, by names in camelCase or kebab-case.
 * Throws UserError for an unknown name or a wrong value, with the nearest valid one.
 */
export function checkSettings<S extends Schemas>(
  schemas: S,
  raw: Readonly<Record<string, unknown>>,
  source: SettingSource,
): Given<S> {
  const names = Object.keys(schemas);
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const name = names.find((candidate) => candidate === key || kebabCase(candidate) === key);
    const schema = name === undefined ? undefined : schemas[name];
    if (name === undefined || !schema) {
      const isCamelCase = /[A-Z]/.test(key);
      const hint = didYouMean(key, isCamelCase ? names : names.map(kebabCase));
      throw new UserError(`${source.label(key)} is not ${source.what}.${hint}`, {
        code: "setting-unknown",
        details: { setting: key },
      });
    }
    given[name] = checkValue(schema, value, source.label(key));
  }
  return given as Given<S>;
}

function checkValue(schema: z.ZodType, value: unknown, label: string): unknown {
  const parsed = schema.safeParse(value);
  if (parsed.success && parsed.data !== undefined) return parsed.data;
  const { expectation, choices } = describeSetting(schema);
  const data = { code: "setting-invalid", details: { setting: label, value, expectation } } as const;
  const isEmptyList = Array.isArray(value) && (value.length === 0 || value.includes(""));
  if (value === "" || value === undefined || isEmptyList)
    throw new UserError(`${label} needs a value: ${expectation}.`, data);
  const isTexts = Array.isArray(value) && value.every((each) => typeof each !== "object");
  const shown = typeof value === "string" ? textOf(value) : isTexts ? value.join(" ") : JSON.stringify(value);
  const hint = isQuoted(schema, value) ? ": leave the quotes out." : `.${didYouMean(shown, choices ?? [])}`;
  throw new UserError(`${label} must be ${expectation}, not ${shown}${hint}`, data);
}

/** Whether a text would be a right value without its quotes, such as "8" in a file of JSON. */
function isQuoted(schema: z.ZodType, value: unknown): boolean {
  if (typeof value !== "string" || value.trim() === "") return false;
  const plain = value === "true" || (value === "false" ? false : Number(value));
  return schema.safeParse(plain).success;
}

/** A text for a message. One that reads like a number or a switch is called a text, as in a file of JSON. */
function textOf(value: string): string {
  const isOther = /^(true|false)$/.test(value) || (value.trim() !== "" && Number.isFinite(Number(value)));
  return isOther ? `the text ${JSON.stringify(value)}` : value;
}

/** The settings of some schemas, in their order, with the defaults of those not given. */
export function withDefaults<S extends Schemas>(schemas: S, given: Given<S>): Settings<S> {
  const entries = Object.entries(schemas).map(([name, schema]) => [
    name,
    given[name] ?? schema.parse(undefined),
  ]);
  return Object.fromEntries(entries);
}

/** The part of some settings that other schemas declare. */
export function partOf<S extends Schemas>(schemas: S, given: Readonly<Record<string, unknown>>): Given<S> {
  const entries = Object.entries(given).filter(([name]) => Object.hasOwn(schemas, name));
  return Object.fromEntries<unknown>(entries) as Given<S>;
}

/** `batchSize` as `batch-size`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The object in a JSON file. Throws UserError where there is none. */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = new TextDecoder().decode(await readFileBytes(path));
  return parseJson(z.looseObject({}), text, { where: path, code: "file-damaged" });
}
