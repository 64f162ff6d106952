import { type ZodType, z } from "zod";
import { parseJson } from "../artifacts/json.ts";
import { readFileBytes } from "../artifacts/read-file.ts";
import { describeSetting, kebabCase } from "../runtime/node/run/schema.ts";
import { withoutComments } from "./json-comments.ts";
import {
  checkGiven,
  type GivenSettings,
  type SettingGroup,
  type SettingName,
  schemasOf,
} from "./settings.ts";

/**
 * Reads settings from a JSON file: one object, its keys the flags' names in kebab-case or camelCase. A text
 * stands for a list of one. Comments and commas behind the last entry are allowed.
 * Throws UserError where it is missing, not such an object, or has an unknown key or a wrong value.
 */
export async function readConfigFile<K extends SettingName | SettingGroup>(
  path: string,
  names: readonly K[],
): Promise<GivenSettings<K>> {
  const allowed = names.filter((name) => name !== "config");
  const lists = new Set(
    Object.entries<ZodType>(schemasOf(allowed)).flatMap(([name, schema]) =>
      describeSetting(schema).isList ? kebabCase(name) : [],
    ),
  );
  const given = Object.entries(await readObject(path)).map(([key, value]) => {
    const isOneOfList = lists.has(kebabCase(key)) && typeof value === "string";
    return [key, isOneOfList ? [value] : value];
  });
  return checkGiven(allowed, Object.fromEntries(given), {
    label: (key) => `${key} in ${path}`,
    what: "a setting of this command",
  });
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = new TextDecoder().decode(await readFileBytes(path));
  return parseJson(z.looseObject({}), withoutComments(text), { where: path, code: "file-damaged" });
}
