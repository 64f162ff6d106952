import { type ZodType, z } from "zod";
import { parseJson, parseValue } from "../artifacts/json.ts";
import { readFileBytes } from "../artifacts/read-file.ts";
import { UserError } from "../graph-builder/errors.ts";
import { describeSetting, kebabCase } from "../runtime/node/run/schema.ts";
import { withoutComments } from "./json-comments.ts";
import { feedingSchema } from "./models/feeding.ts";
import { isModelConfig } from "./models/settings.ts";
import {
  checkGiven,
  type GivenSettings,
  type SettingGroup,
  type SettingName,
  schemasOf,
} from "./settings.ts";

/** The object in a file, by its keys. */
type Entries = Readonly<Record<string, unknown>>;

/**
 * Reads settings from a JSON file: one object, its keys the flags' names in kebab-case or camelCase. A text
 * stands for a list of one. Comments and commas behind the last entry are allowed. The `config.json` of a run
 * is such a file too. `flags` are the settings that the user gave beside it.
 * Throws UserError where it is missing, not such an object, or has an unknown key or a wrong value, and for
 * the `config.json` of a run that trains a model from a file where nothing names the model.
 */
export async function readConfigFile<K extends SettingName | SettingGroup>(
  path: string,
  names: readonly K[],
  flags: object = {},
): Promise<GivenSettings<K>> {
  const allowed = names.filter((name) => name !== "config");
  const schemas = Object.entries<ZodType>(schemasOf(allowed));
  const lists = new Set(
    schemas.flatMap(([name, schema]) => (describeSetting(schema).isList ? kebabCase(name) : [])),
  );
  const raw = await readObject(path);
  const known = schemas.map(([name]) => name);
  if (known.includes("init")) expectModel(raw, path, flags);
  const given = Object.entries(settingsOf(raw, path, known)).map(([key, value]) => {
    const isOneOfList = lists.has(kebabCase(key)) && typeof value === "string";
    return [key, isOneOfList ? [value] : value];
  });
  return checkGiven(allowed, Object.fromEntries(given), {
    label: (key) => `${key} in ${path}`,
    what: "a setting of this command",
  });
}

async function readObject(path: string): Promise<Entries> {
  const text = new TextDecoder().decode(await readFileBytes(path));
  return parseJson(z.looseObject({}), withoutComments(text), { where: path, code: "file-damaged" });
}

/**
 * The settings that a file's object stands for. In the `config.json` of a run, the feeding of a model stands
 * for --pixels and --image-size. The facts of the run's pictures are left out, since a new run measures its
 * pictures itself, and so are the settings from before a resume. `known` are the settings of the command.
 */
function settingsOf(raw: Entries, path: string, known: readonly string[]): Entries {
  const { model: _, feeding, ...rest } = raw;
  const settings = isModelConfig(raw) ? { ...pictureSettingsOf(feeding, path), ...rest } : raw;
  return Object.fromEntries(
    Object.entries(settings).filter(([key, value]) => known.includes(key) || !isFound(key, value)),
  );
}

function pictureSettingsOf(feeding: unknown, path: string): Entries {
  const source = { where: `feeding in ${path}`, code: "file-damaged" } as const;
  const { pixels, height, width } = parseValue(feedingSchema, feeding, source);
  return { pixels, ...(height === width ? { imageSize: height } : {}) };
}

/** Whether an entry of a `config.json` is what the run found out or went through, and no setting. */
function isFound(key: string, value: unknown): boolean {
  return key === "earlier" ? Array.isArray(value) : key === "pictures" && isObject(value);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && !Array.isArray(value);
}

/** Throws UserError for the settings of a run that trains a model from a file, without that model. */
function expectModel(raw: Entries, path: string, flags: object): void {
  const isNamed = ["artifacts", "init", "resume"].some((name) => name in raw || name in flags);
  if (!isModelConfig(raw) || isNamed) return;
  throw new UserError(
    `${path} has the settings of a run that trains a model from a file: give its --artifacts, or the model with --init.`,
    { code: "setting-missing", details: { setting: "artifacts", path } },
  );
}
