import { spawn } from "node:child_process";
import { join } from "node:path";
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
  /** The most kibibytes of a file: a write beyond fails in its middle, as on a full disk (setrlimit(2)). */
  readonly mostKiB?: number;
}

const LONGEST_MS = 180_000;

/** Runs `shake` in a folder. A process that does not end in three minutes is killed and counts as hanging. */
export function shake(
  folder: string,
  args: readonly string[],
  { fault = "", killAfterMs, mostKiB }: Disturbance = {},
): Promise<Ended> {
  const words = [process.execPath, "--import", hook, entry, ...args];
  const limited = ["bash", "-c", `ulimit -f ${mostKiB}; exec "$@"`, "limited", ...words];
  const [program = "", ...rest] = mostKiB === undefined ? words : limited;
  const child = spawn(program, rest, {
    cwd: folder,
    env: { ...process.env, SHAKE_FAULT: fault, SHAKE_CACHE_DIR: join(folder, "cache"), NO_COLOR: "1" },
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
