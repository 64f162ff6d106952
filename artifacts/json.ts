import * as z from "zod/mini";
import { type ErrorCode, UserError } from "../graph-builder/errors.ts";

// zod compiles schemas with `new Function` otherwise, which a page's Content-Security-Policy reports
z.config({ jitless: true });

/** What a text of JSON is called in errors, and their code. */
export interface JsonSource {
  readonly where: string;
  readonly code: ErrorCode;
}

/**
 * The value in a text of JSON, as a schema describes it. Throws UserError, which names the source and the
 * first field that is missing or wrong, and for a text that is not JSON.
 */
export function parseJson<T>(schema: z.core.$ZodType<T>, text: string, source: JsonSource): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // the message quotes the text with its line ends
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw refusalOf(source, `is not JSON: ${reason}`, { reason }, error);
  }
  return parseValue(schema, value, source);
}

/** A value as a schema describes it. Throws UserError as parseJson does. */
export function parseValue<T>(schema: z.core.$ZodType<T>, value: unknown, source: JsonSource): T {
  const { success, data, error } = z.safeParse(schema, value, { reportInput: true });
  if (success) return data;
  const [issue] = error.issues;
  const [field, found] = [fieldOf(issue?.path ?? []), kindOf(issue?.input)];
  const fault = field === "" ? `is ${found}` : `has the field ${field}, which is ${found}`;
  const sentence =
    issue?.input === undefined && field !== "" ? `lacks the field ${field}, which` : `${fault} and`;
  throw refusalOf(source, `${sentence} must be ${expectedBy(issue)}`, { field, found }, error);
}

function refusalOf({ where, code }: JsonSource, fault: string, details: object, cause: unknown): UserError {
  return new UserError(`${where} ${fault}.`, { code, details: { where, ...details }, cause });
}

/** A place in a value: `settings.mean[0]`. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((left, key) => {
    if (typeof key === "number") return `${left}[${key}]`;
    return left === "" ? String(key) : `${left}.${String(key)}`;
  }, "");
}

function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? `the text ${JSON.stringify(value.slice(0, 40))}` : String(value);
}

const kinds: Readonly<Record<string, string>> = {
  number: "a number",
  bigint: "a whole number",
  int: "a whole number",
  string: "a text",
  array: "a list",
  tuple: "a list",
  object: "an object",
  record: "an object",
  boolean: "true or false",
};

function expectedBy(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case "invalid_type":
      return kinds[issue.expected] ?? issue.expected;
    case "invalid_value":
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`;
    case "too_small":
      return `${issue.inclusive ? "at least" : "above"} ${issue.minimum}${issue.origin === "array" ? " long" : ""}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "below"} ${issue.maximum}${issue.origin === "array" ? " long" : ""}`;
    default:
      return "another value";
  }
}
