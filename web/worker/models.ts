import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { decodeMetadata, decodeModel, UserError } from "../../graph-builder/index.ts";
import { datasetOf } from "../../runtime/data/dataset.ts";
import {
  blockCount,
  checkpointSettings,
  classNamesIn,
  frozenModel,
  inferenceModel,
} from "../../shakenet/index.ts";
import type { ModelFile, ModelInfo } from "../protocol.ts";

/** A model that was read and is not opened yet. */
export interface Model {
  readonly info: ModelInfo;
  readonly onnx: Uint8Array;
  /** Makes the same network with separate branches and an input `alpha` float [blocks]. */
  readonly shakeable?: (() => Uint8Array) | undefined;
}

/** Reads an .onnx file. Freezes a checkpoint. Throws UserError for bytes that are neither. */
export function readModel(file: ModelFile): Model {
  const { name, bytes, checkpoint } = isCheckpoint(file.bytes) ? frozen(file) : file;
  const { network, data, test_accuracy: accuracy, ...metadata } = decodeMetadata(bytes, name);
  const { blocks, shakeable } = checkpoint ? branchesOf(checkpoint, name) : branchesIn(bytes, name);
  const info = {
    name,
    network,
    data,
    classNames: classNamesIn(metadata),
    testAccuracy: accuracy === undefined ? undefined : Number(accuracy),
    bytes: bytes.length,
    blocks,
  };
  return { info, onnx: bytes, shakeable };
}

/** The model frozen from the file of a checkpoint. */
function frozen({ name, bytes }: ModelFile): ModelFile {
  const checkpoint = decodeCheckpoint(bytes, name);
  const data = datasetOf(checkpointSettings(checkpoint, name));
  return { name, bytes: frozenModel(checkpoint, name, { data }), checkpoint: bytes };
}

/** The branches of a network as its checkpoint has them. */
function branchesOf(bytes: Uint8Array, name: string): Pick<Model, "shakeable"> & { blocks: number } {
  const checkpoint = decodeCheckpoint(bytes, name);
  const settings = checkpointSettings(checkpoint, name);
  return {
    blocks: blockCount(settings),
    shakeable: () => inferenceModel(settings, checkpoint, {}, { alphaInput: true }),
  };
}

/**
 * The branches of a model with an input `alpha`; nothing where it lacks one or has operators we do not
 * know.
 */
function branchesIn(
  bytes: Uint8Array,
  name: string,
): Pick<Model, "shakeable"> & { blocks?: number | undefined } {
  try {
    const alpha = decodeModel(bytes, name).graph.inputs.find((input) => input.name === "alpha");
    return alpha ? { blocks: Number(alpha.shape[0]), shakeable: () => bytes } : {};
  } catch (error) {
    if (error instanceof UserError) return {};
    throw error;
  }
}

function isCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(4, 8)) === "ODTC";
}
