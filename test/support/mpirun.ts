import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Finished, shakeEntry } from "./shake.ts";

/** The folder of the compiled files. */
export const dist = fileURLToPath(new URL("../../dist", import.meta.url));

/** Open MPI's settings for several ranks on few cores, by root too. */
const environment = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  OMPI_MCA_hwloc_base_binding_policy: "none",
};

/** Whether this machine can start ranks: tests that do are skipped elsewhere. */
export const hasMpirun = spawnSync("mpirun", ["--version"]).status === 0;

/** Starts programs under mpirun: a list of arguments of node for each group of ranks. */
export function startRanks(
  folder: string,
  groups: readonly { readonly ranks: number; readonly args: readonly string[] }[],
) {
  const parts = groups.map(({ ranks, args }) => ["-n", String(ranks), process.execPath, ...args]);
  const all = parts.flatMap((part, i) => (i === 0 ? part : [":", ...part]));
  const child = spawn("mpirun", all, {
    cwd: folder,
    env: { ...process.env, ...environment },
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
  return { child, finished, texts };
}

/** Runs the compiled `shake` as several ranks to its end. */
export function shakeRanks(folder: string, ranks: number, ...args: string[]): Promise<Finished> {
  return startRanks(folder, [{ ranks, args: [shakeEntry, ...args] }]).finished;
}

/** Runs a script of `test/support` as several ranks to its end. */
export function scriptRanks(folder: string, ranks: number, script: string, ...args: string[]) {
  const path = join(fileURLToPath(new URL(".", import.meta.url)), script);
  return startRanks(folder, [{ ranks, args: [path, ...args] }]).finished;
}

/** The process of a rank that mpirun has started. */
export async function pidOfRank({ pid }: ChildProcess, rank: number): Promise<number> {
  for (const name of await readdir("/proc")) {
    const environ = await readFile(`/proc/${name}/environ`, "utf8").catch(() => "");
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const isChild = stat.split(") ")[1]?.split(" ")[1] === String(pid);
    if (isChild && environ.split("\0").includes(`OMPI_COMM_WORLD_RANK=${rank}`)) return Number(name);
  }
  throw new Error(`mpirun has no process of rank ${rank}`);
}
