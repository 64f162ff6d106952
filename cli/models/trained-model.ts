import { stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { artifactFiles, type Checkpoint, decodeCheckpoint, readFileBytes } from "../../artifacts/index.ts";
import type { CheckpointKind } from "../../runtime/index.ts";
import { endReplacement } from "../../runtime/node/file-set.ts";
import { readTrainingArtifacts } from "../../runtime/node/index.ts";

/** A checkpoint of a model that came from a file, and that file. */
export interface TrainedModel {
  readonly checkpoint: Checkpoint;
  /** The checkpoint's path. */
  readonly where: string;
  /** The folder of `source.onnx` and the models. */
  readonly graph: string;
  /** The run that it belongs to. */
  readonly run: string | undefined;
}

/**
 * The checkpoint of a path that is a folder of artifacts, a run, or the checkpoint itself. Returns undefined
 * where no `source.onnx` belongs to it: it is not of a model that came from a file. Throws UserError for a
 * damaged checkpoint, and where a folder of artifacts lacks a file.
 */
export async function findTrainedModel(
  path: string,
  kind: CheckpointKind = "last",
): Promise<TrainedModel | undefined> {
  const folder = dirname(path);
  const run = basename(folder) === "checkpoints" ? dirname(folder) : undefined;
  const places: readonly Place[] = [
    { graph: path, where: join(path, artifactFiles.checkpoint), run: undefined },
    { graph: join(path, "graph"), where: join(path, "checkpoints", kind), run: path },
    { graph: run === undefined ? folder : join(run, "graph"), where: path, run },
  ];
  for (const place of places) {
    await endReplacement(place.graph);
    if (place.graph === path && (await isFile(join(path, artifactFiles.trainingModel)))) {
      const { sourceModel } = await readTrainingArtifacts(path);
      if (!sourceModel) return undefined;
    }
    const isThere =
      (await isFile(join(place.graph, artifactFiles.sourceModel))) && (await isFile(place.where));
    if (isThere) {
      return { ...place, checkpoint: decodeCheckpoint(await readFileBytes(place.where), place.where) };
    }
  }
  return undefined;
}

type Place = Pick<TrainedModel, "graph" | "where" | "run">;

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
