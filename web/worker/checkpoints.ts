import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import {
  blockCount,
  checkpointClasses,
  checkpointSettings,
  frozenModel,
  inferenceModel,
  regularizationOf,
} from "../../shakenet/index.ts";
import type { ModelFile } from "../calls/model.ts";
import type { Model } from "./models.ts";

/** The model frozen from the file of a checkpoint. Throws UserError where it is damaged or not of shake. */
export function frozen({ name, bytes }: ModelFile): ModelFile {
  const checkpoint = decodeCheckpoint(bytes, name);
  const { data } = checkpointClasses(checkpoint, name);
  return { name, bytes: frozenModel(checkpoint, name, { data }), checkpoint: bytes };
}

/**
 * The branches of a network as its checkpoint has them; nothing where its blocks have one branch. Throws
 * UserError as `frozen`.
 */
export function branchesOf(
  bytes: Uint8Array,
  name: string,
): Pick<Model, "shakeable"> & { blocks?: number | undefined } {
  const checkpoint = decodeCheckpoint(bytes, name);
  const settings = checkpointSettings(checkpoint, name);
  if (regularizationOf(settings) !== "shake-shake") return {};
  return {
    blocks: blockCount(settings),
    shakeable: async () => inferenceModel(settings, checkpoint, {}, { alphaInput: true }),
  };
}
