import { join } from "node:path";
import type { Manifest, TrainingArtifacts } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { isThere } from "../files.ts";
import { type EpochLine, RunDirectory, type RunFormat } from "./run-directory.ts";

const RUNS = "runs";

/**
 * Makes and locks the folder of a new run: `runs/<name>`, with a number appended where that is taken. Throws
 * UserError where it cannot be written.
 */
export async function createFreeRun<C, M extends Manifest, L extends EpochLine>(
  format: RunFormat<C, M, L>,
  name: string,
  config: C,
  artifacts: TrainingArtifacts<M>,
): Promise<RunDirectory<C, M, L>> {
  for (;;) {
    const path = await freePath(name);
    try {
      return await RunDirectory.create(format, path, config, artifacts);
    } catch (error) {
      // another process has just made a run of this name
      if (!(error instanceof UserError && error.code === "run-exists")) throw error;
    }
  }
}

async function freePath(name: string): Promise<string> {
  const stem = join(RUNS, name);
  let path = stem;
  for (let i = 2; await isThere(path); i++) path = `${stem}-${i}`;
  return path;
}
