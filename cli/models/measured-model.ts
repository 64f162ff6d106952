import { basename, dirname, join } from "node:path";
import {
  artifactFiles,
  decodeCheckpoint,
  isCheckpoint,
  readFileBytes,
  restoreModel,
} from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/errors.ts";
import type { CheckpointKind } from "../../runtime/index.ts";
import { isFolder } from "../../runtime/node/files.ts";
import { withDataBeside } from "../../runtime/node/index.ts";
import { isRun, runOfCheckpoint } from "../../runtime/node/run/run-directory.ts";
import { checkpointClasses, frozenModel } from "../../shakenet/provenance.ts";
import type { RunData } from "../data/measured.ts";
import { type AnyRun, openAnyRun } from "./any-run.ts";
import { exportedRun } from "./model-run.ts";
import { runOf } from "./run-model.ts";
import { findTrainedModel } from "./trained-model.ts";

/** A classifier to measure, as one .onnx. */
export interface MeasuredModel {
  readonly bytes: Uint8Array;
  /** The path of the checkpoint or of the model. */
  readonly what: string;
  /** What the run of the model says of its data. */
  readonly run: (RunData & { readonly testLimit?: number | undefined }) | undefined;
  /** Whether the images are limited as in the run's own evaluations. */
  readonly isOfRun: boolean;
}

/**
 * The classifier that a path names: the folder of a run or a folder in it, of which `kind` is a checkpoint; a
 * checkpoint of a run or of its own; training artifacts; or an exported model. Throws UserError where it is
 * none of them, and where `kind` is given for a file.
 */
export async function openMeasuredModel(path: string, kind?: CheckpointKind): Promise<MeasuredModel> {
  const ofRun = await runOf(path);
  if (ofRun !== undefined) {
    const run = await openAnyRun(ofRun);
    return modelAt(run, run.checkpointPath(kind ?? "last"));
  }
  if (kind !== undefined) {
    throw new UserError(`--checkpoint chooses a checkpoint of a run, and ${path} is not the folder of one.`, {
      code: "setting-conflict",
      details: { setting: "checkpoint", path },
    });
  }
  const isInFolder = await isFolder(path);
  const file = isInFolder ? join(path, artifactFiles.checkpoint) : path;
  const bytes = await readFileBytes(file).catch((error: unknown) => {
    if (!isInFolder || !(error instanceof UserError && error.code === "file-missing")) throw error;
    throw new UserError(`${path} is neither the folder of a run nor one of training artifacts.`, {
      code: "run-missing",
      details: { path },
      cause: error,
    });
  });
  if (!isCheckpoint(bytes)) {
    const whole = await withDataBeside(bytes, file);
    return { bytes: whole, what: path, run: await configBeside(path), isOfRun: false };
  }
  const folder = await runOfCheckpoint(file);
  if (folder !== undefined) return modelAt(await openAnyRun(folder), file);
  return modelOfCheckpoint(bytes, file);
}

/** The classifier of a run at one of its checkpoints. */
async function modelAt(run: AnyRun, what: string): Promise<MeasuredModel> {
  const checkpoint = decodeCheckpoint(await readFileBytes(what), what);
  const bytes = isModelRun(run) ? await exportedRun(run, checkpoint) : frozenModel(checkpoint, what);
  return { bytes, what, run: run.config, isOfRun: true };
}

function isModelRun(run: AnyRun): run is Parameters<typeof exportedRun>[0] {
  return "feeding" in run.config;
}

/** The classifier of a checkpoint that is in no run. */
async function modelOfCheckpoint(bytes: Uint8Array, what: string): Promise<MeasuredModel> {
  const trained = await findTrainedModel(what);
  if (trained) {
    const source = join(trained.graph, artifactFiles.sourceModel);
    return {
      bytes: restoreModel(await readFileBytes(source), trained.checkpoint),
      what,
      run: undefined,
      isOfRun: false,
    };
  }
  const checkpoint = decodeCheckpoint(bytes, what);
  const { data } = checkpointClasses(checkpoint, what);
  return { bytes: frozenModel(checkpoint, what, { data }), what, run: undefined, isOfRun: false };
}

/** The settings of the run that a model lies in the folder of; undefined where it lies elsewhere. */
async function configBeside(model: string): Promise<MeasuredModel["run"]> {
  const path = dirname(model);
  return basename(model) === "model.onnx" && (await isRun(path))
    ? (await openAnyRun(path)).config
    : undefined;
}
