import yargs, { type Arguments, type Argv } from "yargs";
import { didYouMean, UserError } from "../graph-builder/errors.ts";
import { readConfigFile } from "./config-file.ts";
import {
  checkSettings,
  describeSetting,
  type GivenSettings,
  kebabCase,
  type SettingName,
} from "./settings.ts";
import { colors } from "./terminal.ts";

/** A command: the settings that it takes, and what it does with those given. */
export interface Command<K extends SettingName = SettingName> {
  readonly settings: readonly K[];
  /** The setting that is given without a flag. */
  readonly positional?: K;
  /** Returns the exit code, 0 where it returns none. */
  run(given: GivenSettings<K>): Promise<number | undefined>;
}

interface Entry {
  readonly help: string;
  readonly usage?: string;
  readonly load: () => Promise<Command>;
}

// a command's module is loaded when it is called, so that the help is there at once
const commands: Readonly<Record<string, Entry>> = {
  "build-graph": {
    help: "compile a network into training artifacts",
    load: async () => (await import("./commands/build-graph.ts")).buildGraph,
  },
  train: {
    help: "train a network, or go on with a run",
    load: async () => (await import("./commands/train.ts")).trainCommand,
  },
  eval: {
    help: "loss, accuracy and a table per class of a run or a model",
    load: async () => (await import("./commands/eval.ts")).evalCommand,
  },
  export: {
    help: "write a run or a checkpoint as one plain .onnx",
    usage: "[source]",
    load: async () => (await import("./commands/export.ts")).exportCommand,
  },
  inspect: {
    help: "what is in a model, a checkpoint, a run or an artifacts folder",
    usage: "[file]",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  doctor: {
    help: "what this machine can do",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
};

/** Runs a command line and returns its exit code: 2 for a mistake of the user, told in one sentence, 1 for a bug, with its stack. */
export async function main(args: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignoreClosedPipe);
  try {
    return await runCommand(args);
  } catch (error) {
    const isOurs = error instanceof UserError;
    const text = isOurs
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
    process.stderr.write(`${colors(process.stderr).red("shake:")} ${text}\n`);
    return isOurs ? 2 : 1;
  }
}

async function runCommand(args: readonly string[]): Promise<number> {
  let code = 0;
  const parser = yargs([...args])
    .scriptName("shake")
    .usage("shake <command>\n\nTrains Shake-Shake residual networks on ONNX Runtime.")
    .version("0.1.0")
    .help()
    .fail(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "duplicate-arguments-array": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    });
  for (const [name, entry] of Object.entries(commands)) {
    parser.command(
      entry.usage ? `${name} ${entry.usage}` : name,
      entry.help,
      async (command) => declareFlags(command, await entry.load()),
      async (argv) => {
        code = await call(name, await entry.load(), argv);
      },
    );
  }
  parser.command("$0", false, {}, (argv) => {
    const [name] = argv._;
    if (name !== undefined) {
      throw new UserError(`${name} is not a command.${didYouMean(String(name), Object.keys(commands))}`);
    }
    refuseUnknownFlags(argv);
    parser.showHelp("log");
  });
  await parser.parseAsync();
  return code;
}

function declareFlags(command: Argv, { settings, positional }: Command): Argv {
  for (const name of settings) {
    const { flag, group, help, choices, isSwitch, default: defaultDescription } = describeSetting(name);
    const description = choices ? `${help}: ${choices.join(", ")}` : help;
    if (name === positional) command.positional(flag, { type: "string", description });
    else {
      command.option(flag, {
        type: isSwitch ? "boolean" : "string",
        group: `${group}:`,
        description,
        ...(defaultDescription && !isSwitch ? { defaultDescription } : {}),
      });
    }
  }
  return command;
}

async function call(name: string, command: Command, argv: Arguments): Promise<number> {
  const { _: words, $0: _script, ...raw } = argv;
  const stray = words[1];
  if (stray !== undefined) throw new UserError(`shake ${name} takes no ${stray}: see shake ${name} --help.`);
  const flags = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined));
  for (const setting of command.settings) {
    const { isNumber, flag } = describeSetting(setting);
    if (isNumber && flag in flags) flags[flag] = asNumber(flags[flag]);
  }
  const label = (key: string) => (key === command.positional ? key : `--${kebabCase(key)}`);
  const given = checkSettings(command.settings, flags, { label, what: `a flag of shake ${name}` });
  if (command.positional && given[command.positional] === undefined) {
    throw new UserError(`shake ${name} needs a ${command.positional}: see shake ${name} --help.`);
  }
  const configured = given.config ? await readConfigFile(given.config, command.settings) : {};
  return (await command.run({ ...configured, ...given })) ?? 0;
}

/** The number that a text is, or the text where it is none. */
function asNumber(text: unknown): unknown {
  const number = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : text;
}

function refuseUnknownFlags({ _: _words, $0: _script, ...flags }: Arguments): void {
  const [unknown] = Object.keys(flags).filter((flag) => flags[flag] !== undefined);
  if (unknown !== undefined) throw new UserError(`--${unknown} is not a flag of shake: see shake --help.`);
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
