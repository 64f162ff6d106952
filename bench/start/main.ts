import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../shakenet/index.ts";
import { artifactSettings, runConfig } from "../../shakenet/node/run-config.ts";
import { describeSpread } from "../compare/statistics.ts";

const script = fileURLToPath(new URL("./open.js", import.meta.url));

/** What a process took to open a session, in seconds. */
interface Start {
  readonly wall: number;
  /** The time on a core of all threads together. */
  readonly cores: number;
}

/**
 * Measures the start of a training session of one thread, and of two replicas, on the CPU: from the start of
 * a fresh process that reads artifacts from files to the open session, compiled and from the cache, in turns.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      depth: { type: "string", default: "26" },
      width: { type: "string", default: "32" },
      rounds: { type: "string", default: "7" },
    },
  });
  const [depth, width, rounds] = [values.depth, values.width, values.rounds].map(Number);
  const folder = await mkdtemp(join(tmpdir(), "shake-start-"));
  try {
    const artifacts = buildTrainingArtifacts(artifactSettings(runConfig({ depth, width }), "ort-training"));
    await writeTrainingArtifacts(join(folder, "artifacts"), artifacts);
    const { length, 0: processor } = cpus();
    console.log(
      `${artifacts.manifest.network}, ${length} cores of ${processor?.model}, Node ${process.versions.node}, n = ${rounds}`,
    );
    const starts = await measure(folder, rounds ?? 0);
    for (const [what, each] of starts) {
      console.log(
        `${what.padEnd(28)} ${describeSpread(
          each.map(({ wall }) => wall),
          2,
        )} s, of the cores ${describeSpread(
          each.map(({ cores }) => cores),
          2,
        )} s`,
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(folder: string, rounds: number): Promise<Map<string, Start[]>> {
  const starts = new Map<string, Start[]>();
  for (let round = 0; round <= rounds; round++) {
    for (const replicas of ["1", "2"]) {
      for (const cache of [[], [join(folder, "cache")]]) {
        const start = await open(join(folder, "artifacts"), replicas, ...cache);
        // the first round fills the cache, and the system's own
        const what = `${replicas === "1" ? "one session" : "two replicas"}, ${cache.length > 0 ? "from the cache" : "compiled"}`;
        if (round > 0) starts.set(what, [...(starts.get(what) ?? []), start]);
      }
    }
  }
  return starts;
}

async function open(...args: readonly string[]): Promise<Start> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args]);
  return JSON.parse(stdout);
}

await main();
