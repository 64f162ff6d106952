import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const hook = new URL("./hook.js", import.meta.url).href;

/** How a command line ended. */
export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
  /** How many calls changed files, where SHAKE_FAULT is `count`. */
  readonly calls: number;
  readonly isHanging: boolean;
}

/** How a command line is disturbed. */
export interface Disturbance {
  /** The variable SHAKE_FAULT of the hook. */
  readonly fault?: string;
  /** Kills the process after so many milliseconds. */
  readonly killAfterMs?: number;
}

const LONGEST_MS = 180_000;

/** Runs `shake` in a folder. A process that does not end in three minutes is killed and counts as hanging. */
export function shake(
  folder: string,
  args: readonly string[],
  { fault = "", killAfterMs }: Disturbance = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ["--import", hook, entry, ...args], {
    cwd: folder,
    env: { ...process.env, SHAKE_FAULT: fault, NO_COLOR: "1" },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  let isHanging = false;
  const watch = setTimeout(() => {
    isHanging = true;
    child.kill("SIGKILL");
  }, LONGEST_MS);
  const killer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  const texts = ["", ""];
  [child.stderr, child.stdio[3]].forEach((stream, i) => {
    stream?.on("data", (chunk: Buffer) => {
      texts[i] += chunk.toString();
    });
  });
  return new Promise((resolve) => {
    child.on("close", (code) => {
      clearTimeout(watch);
      clearTimeout(killer);
      resolve({ code, stderr: texts[0] ?? "", calls: Number(texts[1]), isHanging });
    });
  });
}

/** The one sentence with which a command line refused something; undefined where it said anything else. */
export function sentenceOf({ code, stderr }: Ended): string | undefined {
  return code === 2 ? /^shake: ([^\n]+)\n$/m.exec(stderr.slice(stderr.indexOf("shake: ")))?.[1] : undefined;
}
