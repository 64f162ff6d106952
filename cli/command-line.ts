import yargs, { type Arguments, type Argv } from "yargs";
import { errorCode, reasonOf } from "../artifacts/read-file.ts";
import { didYouMean, UserError } from "../graph-builder/errors.ts";
import { visibleName } from "../graph-builder/visible.ts";
import { type Command, flagName, withPlainPaths } from "./command.ts";
import { benchCommand } from "./commands/bench/command.ts";
import { buildGraphCommand } from "./commands/build-graph/command.ts";
import { completionCommand } from "./commands/completion/command.ts";
import { dataCommand } from "./commands/data/command.ts";
import { doctorCommand } from "./commands/doctor/command.ts";
import { evalCommand } from "./commands/eval/command.ts";
import { exportCommand } from "./commands/export/command.ts";
import { inspectCommand } from "./commands/inspect/command.ts";
import { installCudaCommand } from "./commands/install-cuda/command.ts";
import { predictCommand } from "./commands/predict/command.ts";
import { reportCommand } from "./commands/report/command.ts";
import { runsCommand } from "./commands/runs/command.ts";
import { trainCommand } from "./commands/train/command.ts";
import { verifyCommand } from "./commands/verify/command.ts";
import { startDebugging } from "./debug.ts";
import { shakeCommand } from "./invocation.ts";
import type { RankOutcome } from "./ranks.ts";
import { say, sayFailure } from "./terminal.ts";
import { isInsideTimeout, runWithin } from "./timeout.ts";
import { ownVersion } from "./versions.ts";

/** The commands in the order of the help. */
export const commands: readonly Command[] = [
  trainCommand,
  evalCommand,
  reportCommand,
  runsCommand,
  exportCommand,
  predictCommand,
  dataCommand,
  verifyCommand,
  inspectCommand,
  buildGraphCommand,
  benchCommand,
  doctorCommand,
  installCudaCommand,
  completionCommand,
];

/**
 * Runs a command line and returns its exit code: 2 with one sentence for a mistake of the user, 1 with the
 * stack for a bug.
 */
export async function main(args: readonly string[]): Promise<number> {
  process.stdout.on("error", endOnFullOutput);
  process.stderr.on("error", () => {});
  const outcome = await outcomeOf(args);
  const { leaveRanks } = await import("./ranks.ts");
  return leaveRanks(outcome);
}

async function outcomeOf(args: readonly string[]): Promise<RankOutcome> {
  try {
    expectWorkingFolder();
    await startDebugging(process.env["SHAKE_DEBUG"], say);
    return { code: await runCommand(args) };
  } catch (error) {
    return { ...failureOf(error), error };
  }
}

/** The text and the exit code of a failure; a call that the system refused is no bug. */
function failureOf(error: unknown): { text: string; code: number } {
  if (error instanceof UserError) return { text: error.message, code: 2 };
  const system = errorCode(error);
  if (system !== undefined && error instanceof Error) {
    const what = "path" in error && typeof error.path === "string" ? error.path : "What this needs";
    return { text: visibleName(`${what} cannot be used: ${reasonOf(system)}.`), code: 2 };
  }
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), code: 1 };
}

/** Throws UserError where the folder that the command was started in has been removed. */
function expectWorkingFolder(): void {
  try {
    process.cwd();
  } catch (error) {
    throw new UserError("The working folder does not exist any more: go to another one.", {
      code: "file-missing",
      cause: error,
    });
  }
}

async function runCommand(args: readonly string[]): Promise<number> {
  let code = 0;
  const plain = withPlainPaths(args);
  const parser = await createParser(plain);
  for (const command of commands) {
    parser.command(
      [usageOf(command), ...(command.aliases ?? [])],
      command.summary,
      async (own) => {
        const { declareFlags } = await import("./flags.ts");
        return declareFlags(own, command)
          .usage(`shake ${usageOf(command)}\n\n${command.help}`)
          .epilogue("");
      },
      async (argv) => {
        const { readSettings } = await import("./flags.ts");
        if (command.joinsRanks) await (await import("./ranks.ts")).joinRanks();
        const given = await readSettings(command, argv, plain);
        if (given.timeout !== undefined && !isInsideTimeout()) {
          code = await runWithin(given.timeout, args);
          return;
        }
        const work = await command.load();
        code = await work.run(given);
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

/** A command with its positional arguments, in the notation of yargs and the help. */
function usageOf({ name, positional, rest }: Command): string {
  return [name, ...(positional ? [`[${positional}]`] : []), ...(rest ? [`[${rest}..]`] : [])].join(" ");
}

async function createParser(args: readonly string[]): Promise<Argv> {
  return yargs([...args], process.cwd())
    .scriptName("shake")
    .usage("shake <command>\n\nTrains Shake-Shake networks, and any ONNX model, on ONNX Runtime.")
    .epilogue(`${shakeCommand("COMMAND", "--help")} lists the settings of a command.`)
    .version(await ownVersion())
    .help()
    .alias({ help: "h", version: "v" })
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
    const names = commands.flatMap((command) => [command.name, ...(command.aliases ?? [])]);
    throw new UserError(`${name} is not a command.${didYouMean(String(name), names)}`, {
      code: "command-unknown",
      details: { command: name },
    });
  }
  const flag = Object.keys(flags).find((key) => flags[key] !== undefined);
  if (flag !== undefined) {
    throw new UserError(`${flagName(flag)} is not a flag of shake.${didYouMean(flag, ["help", "version"])}`, {
      code: "setting-unknown",
      details: { setting: flag },
    });
  }
}

/** A reader that has gone needs no more output: a pipe that is closed, a terminal that has ended. */
function endOnFullOutput(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE" || error.code === "EIO") return;
  sayFailure(`The standard output cannot be written: ${reasonOf(String(error.code))}.`);
  process.exit(2);
}
