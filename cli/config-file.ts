import { UserError } from "../graph-builder/errors.ts";
import { readFileBytes } from "../runtime/node/files.ts";
import { checkSettings, type GivenSettings, type SettingName } from "./settings.ts";

/**
 * Reads settings from a JSON file: one object, its keys the flags' names in kebab-case or camelCase.
 * Throws UserError where it is missing, not such an object, or has an unknown key or a wrong value.
 */
export async function readConfigFile<K extends SettingName>(
  path: string,
  names: readonly K[],
): Promise<GivenSettings<K>> {
  const allowed = names.filter((name) => name !== "config");
  return checkSettings(allowed, await readJsonObject(path), {
    label: (key) => `${key} in ${path}`,
    what: "a setting of this command",
  });
}

/** The object in a JSON file. Throws UserError where there is none. */
export async function readJsonObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = new TextDecoder().decode(await readFileBytes(path));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${(error as Error).message}.`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UserError(`${path} must hold one JSON object.`);
  }
  return value as Readonly<Record<string, unknown>>;
}
