import { basename, dirname, join } from "node:path";
import { readFileBytes } from "../../artifacts/index.ts";
import type { CheckpointKind } from "../../runtime/index.ts";
import { finishedRun, isRun } from "../../runtime/node/run/run-directory.ts";
import { openRun, provenanceOf } from "../../shakenet/node/run.ts";
import { frozenModel } from "../../shakenet/provenance.ts";
import { exportedRun, findModelRun } from "./model-run.ts";

/** A model as a file, and how errors call it. */
export interface NamedModel {
  readonly bytes: Uint8Array;
  readonly where: string;
}

/**
 * The run that a path names: its folder, or the `graph` or `checkpoints` in it; undefined where it names
 * none.
 */
export async function runOf(path: string): Promise<string | undefined> {
  if (await isRun(path)) return path;
  const isPart = ["graph", "checkpoints"].includes(basename(path));
  return isPart && (await isRun(dirname(path))) ? dirname(path) : undefined;
}

/**
 * The model of a run: its model.onnx where the run has ended and no checkpoint is asked for, else that of a
 * checkpoint. Throws UserError for a damaged run.
 */
export async function modelOfRun(path: string, kind?: CheckpointKind): Promise<NamedModel> {
  if (kind === undefined && (await finishedRun(path))) {
    const where = join(path, "model.onnx");
    return { bytes: await readFileBytes(where), where };
  }
  const which = kind ?? "last";
  const ofModel = await findModelRun(path);
  if (ofModel) {
    const bytes = await exportedRun(ofModel, await ofModel.checkpoint(which));
    return { bytes, where: ofModel.checkpointPath(which) };
  }
  const run = await openRun(path);
  const where = run.checkpointPath(which);
  return { bytes: frozenModel(await run.checkpoint(which), where, provenanceOf(run.config)), where };
}
