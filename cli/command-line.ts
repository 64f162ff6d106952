import { readFile } from "node:fs/promises";
import yargs, { type Arguments, type Argv } from "yargs";
import { didYouMean, UserError } from "../graph-builder/errors.ts";
import { startDebugging } from "./debug.ts";
import type { Command } from "./flags.ts";
import { colors } from "./terminal.ts";

interface Entry {
  /** What it is given without a flag, as yargs writes it. */
  readonly positional?: string;
  readonly help: string;
  readonly load: () => Promise<Command>;
}

// a command is loaded when it is called, so that the list of them is there at once
const commands: Readonly<Record<string, Entry>> = {
  train: {
    help: "train a network; ends with a frozen model, curves and metrics",
    load: async () => (await import("./commands/train.ts")).trainCommand,
  },
  eval: {
    help: "measure a run or a frozen model on a data set",
    load: async () => (await import("./commands/eval.ts")).evalCommand,
  },
  export: {
    positional: "[source]",
    help: "freeze a run or a checkpoint into one plain .onnx model",
    load: async () => (await import("./commands/export.ts")).exportCommand,
  },
  predict: {
    positional: "[model] [pictures..]",
    help: "classify pictures with a frozen model",
    load: async () => (await import("./commands/predict.ts")).predictCommand,
  },
  verify: {
    positional: "[model]",
    help: "compare a frozen model with its checkpoint on every device",
    load: async () => (await import("./commands/verify.ts")).verifyCommand,
  },
  inspect: {
    positional: "[file]",
    help: "say what is in a model, a checkpoint, a run or an artifacts folder",
    load: async () => (await import("./commands/inspect.ts")).inspectCommand,
  },
  "build-graph": {
    help: "compile a network into ONNX Runtime training artifacts",
    load: async () => (await import("./commands/build-graph.ts")).buildGraph,
  },
  bench: {
    help: "measure training steps: speed, memory and where the time goes",
    load: async () => (await import("./commands/bench.ts")).benchCommand,
  },
  doctor: {
    help: "say what this machine can do",
    load: async () => (await import("./commands/doctor.ts")).doctorCommand,
  },
};

/** Runs a command line and returns its exit code: 2 for a mistake of the user, told in one sentence, 1 for a bug, with its stack. */
export async function main(args: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignoreClosedPipe);
  try {
    await startDebugging(process.env["SHAKE_DEBUG"], (line) => process.stderr.write(`${line}\n`));
    return await runCommand(args);
  } catch (error) {
    const isOurs = error instanceof UserError;
    const { message = String(error), stack = message } = error instanceof Error ? error : {};
    process.stderr.write(`${colors(process.stderr).red("shake:")} ${isOurs ? message : stack}\n`);
    return isOurs ? 2 : 1;
  }
}

async function runCommand(args: readonly string[]): Promise<number> {
  let code = 0;
  const parser = await createParser(args);
  for (const [name, { positional, help, load }] of Object.entries(commands)) {
    parser.command(
      positional ? `${name} ${positional}` : name,
      help,
      async (command) => (await import("./flags.ts")).declareFlags(command, await load()),
      async (argv) => {
        const { readSettings } = await import("./flags.ts");
        const command = await load();
        code = await command.run(await readSettings(name, command, argv));
      },
    );
  }
  parser.command("$0", false, {}, (argv) => {
    refuseUnknown(argv);
    parser.showHelp("log");
  });
  await parser.parseAsync();
  return code;
}

async function createParser(args: readonly string[]): Promise<Argv> {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return yargs([...args], process.cwd())
    .scriptName("shake")
    .usage("shake <command>\n\nTrains Shake-Shake residual networks on ONNX Runtime.")
    .epilogue("shake <command> --help lists the settings of a command.")
    .version(version)
    .help()
    .updateStrings({ string: "value" })
    .fail(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
    });
}

function refuseUnknown({ _: [name], $0: _script, ...flags }: Arguments): void {
  if (name !== undefined) {
    throw new UserError(`${name} is not a command.${didYouMean(String(name), Object.keys(commands))}`);
  }
  const flag = Object.keys(flags).find((key) => flags[key] !== undefined);
  if (flag !== undefined) {
    throw new UserError(`--${flag} is not a flag of shake.${didYouMean(flag, ["help", "version"])}`);
  }
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
