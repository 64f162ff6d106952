import type { Arguments, Argv } from "yargs";
import { UserError } from "../graph-builder/errors.ts";
import { describeSetting, kebabCase } from "../runtime/node/run/schema.ts";
import { type Command, flagName } from "./command.ts";
import { readConfigFile } from "./config-file.ts";
import { shakeCommand } from "./invocation.ts";
import { checkGiven, type GivenSettings, groupOf, schemasOf } from "./settings.ts";

/** Declares a command's settings to yargs. */
export function declareFlags(parser: Argv, { settings, settingHelp, positional, rest }: Command): Argv {
  for (const [name, schema] of Object.entries(schemasOf(settings))) {
    const { help, choices, isSwitch, isList, default: ownDefault } = describeSetting(schema);
    const flag = kebabCase(name);
    const shown = settingHelp?.[name] ?? help;
    const description = choices ? `${shown} (${choices.join(", ")})` : shown;
    const defaultDescription = settingHelp?.[name] === undefined ? ownDefault : undefined;
    if (name === positional || name === rest)
      parser.positional(flag, { type: "string", description, array: name === rest });
    else {
      parser.option(flag, {
        type: isSwitch ? "boolean" : "string",
        array: isList,
        group: `${groupOf(name)}:`,
        description,
        ...(defaultDescription && !isSwitch ? { defaultDescription } : {}),
      });
    }
  }
  return parser;
}

/**
 * The settings of a command from its flags and its config file; a flag overrides the file.
 * Throws UserError for an unknown flag or key and for an invalid value, with the nearest valid one.
 */
export async function readSettings(
  { name, settings, positional, rest, isBare = false }: Command,
  { _: words, $0: _script, ...raw }: Arguments,
  args: readonly string[],
): Promise<GivenSettings> {
  const help = `see ${shakeCommand(name, "--help")}`;
  const stray = words[1];
  if (stray !== undefined) {
    throw new UserError(`unexpected argument ${stray}: ${help}.`, {
      code: "argument-unexpected",
      details: { argument: stray },
    });
  }
  const label = (key: string) => (key === positional || key === rest ? key : flagName(key));
  const given = checkGiven(settings, flagValues(settings, { ...raw, ...switchTexts(settings, args) }), {
    label,
    what: `a flag of shake ${name}`,
  });
  if (positional && !isBare && given[positional] === undefined) {
    throw new UserError(`shake ${name} needs a ${positional}: ${help}.`, {
      code: "setting-missing",
      details: { setting: positional },
    });
  }
  if (rest && !isBare && !(Array.isArray(given[rest]) && given[rest].length > 0)) {
    throw new UserError(`shake ${name} needs ${rest}: ${help}.`, {
      code: "setting-missing",
      details: { setting: rest },
    });
  }
  const configured = given.config ? await readConfigFile(given.config, settings, given) : {};
  return { ...configured, ...given };
}

/** The texts that switches were given, such as `--json=maybe`, which yargs takes for false. */
function switchTexts(settings: Command["settings"], args: readonly string[]): Record<string, string> {
  const schemas = Object.entries(schemasOf(settings));
  const switches = schemas.filter(([, schema]) => describeSetting(schema).isSwitch);
  const names = new Set(switches.map(([name]) => kebabCase(name)));
  const texts = args.flatMap((word): [string, string][] => {
    const [, name = "", text = ""] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    return names.has(name) && text !== "true" && text !== "false" ? [[name, text]] : [];
  });
  return Object.fromEntries(texts);
}

/**
 * The values of the flags, numbers parsed. Where a flag is given twice, the last one counts; a list has the
 * values of all.
 */
function flagValues(
  settings: Command["settings"],
  raw: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const said = Object.entries(raw).filter(([, value]) => value !== undefined);
  const infos = new Map(
    Object.entries(schemasOf(settings)).map(([name, schema]) => [kebabCase(name), describeSetting(schema)]),
  );
  return Object.fromEntries(
    said.map(([key, value]) => {
      const { isList = false, isNumber = false } = infos.get(key) ?? {};
      const parse = isNumber ? asNumber : (each: unknown) => each;
      if (!Array.isArray(value)) return [key, parse(value)];
      return [key, isList ? value.map(parse) : parse(value.at(-1))];
    }),
  );
}

/** Parses a text as a number. Returns other values unchanged. */
function asNumber(text: unknown): unknown {
  const number = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : text;
}
