import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

/** The compiled entry of the command line. */
export const shakeEntry = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** The start of the commands that `shake` prints in a folder outside an npm project. */
export const printedShake = `node ${shakeEntry}`;

/** The exit code and the output of a finished `shake`. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `shake` that runs. */
interface Started {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

/** Starts the compiled `shake` in a folder. */
export function start(folder: string, ...args: string[]): Started {
  return startWith({}, folder, ...args);
}

function startWith(variables: NodeJS.ProcessEnv, folder: string, ...args: string[]): Started {
  const env = { ...process.env, ...variables };
  const child = spawn(process.execPath, [shakeEntry, ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.stderr += text;
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on("close", (code) => resolve({ code, ...texts }));
  });
  return { child, finished };
}

/** Runs the compiled `shake` in a folder to its end. */
export function shake(folder: string, ...args: string[]): Promise<Finished> {
  return start(folder, ...args).finished;
}

/** Runs `shake` with additional environment variables. */
export function shakeWith(
  variables: NodeJS.ProcessEnv,
  folder: string,
  ...args: string[]
): Promise<Finished> {
  return startWith(variables, folder, ...args).finished;
}

/** A folder for one test file. It is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shake-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The flags of a run that takes about two seconds. */
export const tinyRunFlags = [
  ["--width", "2"],
  ["--train-limit", "96"],
  ["--test-limit", "40"],
  ["--epochs", "2"],
  ["--batch-size", "16"],
  ["--threads", "1"],
].flat();
