import type { ZodType } from "zod";
import { describeSetting, kebabCase, readJsonObject } from "../runtime/node/run/schema.ts";
import {
  checkGiven,
  type GivenSettings,
  type SettingGroup,
  type SettingName,
  schemasOf,
} from "./settings.ts";

/**
 * Reads settings from a JSON file: one object, its keys the flags' names in kebab-case or camelCase. A text
 * stands for a list of one.
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
  const given = Object.entries(await readJsonObject(path)).map(([key, value]) => {
    const isOneOfList = lists.has(kebabCase(key)) && typeof value === "string";
    return [key, isOneOfList ? [value] : value];
  });
  return checkGiven(allowed, Object.fromEntries(given), {
    label: (key) => `${key} in ${path}`,
    what: "a setting of this command",
  });
}
