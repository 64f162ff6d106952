import { spawn } from "node:child_process";
import { once } from "node:events";
import { UserError } from "../graph-builder/errors.ts";

/** Set in the process that does the work of a command with a time limit. */
const INSIDE = "SHAKE_INSIDE_TIMEOUT";

/** Whether this process does the work of a command with a time limit. */
export function isInsideTimeout(): boolean {
  return process.env[INSIDE] === "1";
}

/**
 * Runs this command line in a process of its own and returns its exit code. A process that has not ended
 * after `seconds` is killed, because native code cannot be stopped otherwise; then UserError is thrown.
 */
export async function runWithin(seconds: number, args: readonly string[]): Promise<number> {
  const [node, script = ""] = process.argv;
  const env = { ...process.env, [INSIDE]: "1" };
  const child = spawn(node ?? process.execPath, [...process.execArgv, script, ...args], {
    stdio: "inherit",
    env,
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, 1000 * seconds);
  const stop = () => child.kill("SIGKILL");
  process.once("exit", stop);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const) {
    process.once(signal, () => {
      stop();
      process.kill(process.pid, signal);
    });
  }
  const [code]: (number | null)[] = await once(child, "close");
  clearTimeout(timer);
  process.removeListener("exit", stop);
  if (!isLate) return code ?? 1;
  throw new UserError(`It was not done after ${seconds} s and was ended: give it longer with --timeout.`, {
    code: "timed-out",
    details: { seconds },
  });
}
