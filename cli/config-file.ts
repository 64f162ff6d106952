import { readJsonObject } from "../runtime/node/run/schema.ts";
import { checkGiven, type GivenSettings, type SettingGroup, type SettingName } from "./settings.ts";

/**
 * Reads settings from a JSON file: one object, its keys the flags' names in kebab-case or camelCase.
 * Throws UserError where it is missing, not such an object, or has an unknown key or a wrong value.
 */
export async function readConfigFile<K extends SettingName | SettingGroup>(
  path: string,
  names: readonly K[],
): Promise<GivenSettings<K>> {
  const allowed = names.filter((name) => name !== "config");
  return checkGiven(allowed, await readJsonObject(path), {
    label: (key) => `${key} in ${path}`,
    what: "a setting of this command",
  });
}
