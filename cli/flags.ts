import type { Arguments, Argv } from "yargs";
import { UserError } from "../graph-builder/errors.ts";
import { readConfigFile } from "./config-file.ts";
import {
  checkSettings,
  describeSetting,
  type GivenSettings,
  kebabCase,
  type SettingName,
} from "./settings.ts";

/** A command: the settings that it takes, and what it does with those given. */
export interface Command<K extends SettingName = SettingName> {
  readonly settings: readonly K[];
  /** The setting that is given without a flag. */
  readonly positional?: K;
  /** The setting that takes all further words. */
  readonly rest?: K;
  /** Returns the exit code. */
  run(given: GivenSettings<K>): Promise<number>;
}

/** Tells yargs a command's settings. */
export function declareFlags(parser: Argv, { settings, positional, rest }: Command): Argv {
  for (const name of settings) {
    const { flag, group, help, choices, isSwitch, default: defaultDescription } = describeSetting(name);
    const description = choices ? `${help}: ${choices.join(", ")}` : help;
    if (name === positional || name === rest)
      parser.positional(flag, { type: "string", description, array: name === rest });
    else {
      parser.option(flag, {
        type: isSwitch ? "boolean" : "string",
        group: `${group}:`,
        description,
        ...(defaultDescription && !isSwitch ? { defaultDescription } : {}),
      });
    }
  }
  return parser;
}

/**
 * The settings given to a command by flags and, under them, by its config file.
 * Throws UserError for a flag, a key or a value that is not one of its, with the nearest right one.
 */
export async function readSettings(
  name: string,
  { settings, positional, rest }: Command,
  { _: words, $0: _script, ...raw }: Arguments,
): Promise<GivenSettings> {
  const help = `see shake ${name} --help`;
  const stray = words[1];
  if (stray !== undefined) throw new UserError(`shake ${name} has no use for the word ${stray}: ${help}.`);
  const said = Object.entries(raw).filter(([, value]) => value !== undefined);
  // of a flag that is given twice the last counts
  const flags = Object.fromEntries(
    said.map(([key, value]) => [key, Array.isArray(value) && key !== rest ? value.at(-1) : value]),
  );
  for (const setting of settings) {
    const { isNumber, flag } = describeSetting(setting);
    if (isNumber && flag in flags) flags[flag] = asNumber(flags[flag]);
  }
  const label = (key: string) => (key === positional || key === rest ? key : `--${kebabCase(key)}`);
  const given = checkSettings(settings, flags, { label, what: `a flag of shake ${name}` });
  if (positional && given[positional] === undefined) {
    throw new UserError(`shake ${name} needs a ${positional}: ${help}.`);
  }
  if (rest && !(Array.isArray(given[rest]) && given[rest].length > 0)) {
    throw new UserError(`shake ${name} needs ${rest}: ${help}.`);
  }
  const configured = given.config ? await readConfigFile(given.config, settings) : {};
  return { ...configured, ...given };
}

/** The number that a text is, or the text where it is none. */
function asNumber(text: unknown): unknown {
  const number = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : text;
}
