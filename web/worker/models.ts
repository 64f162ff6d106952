import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { decodeMetadata, decodeModel, UserError } from "../../graph-builder/index.ts";
import { datasetOf } from "../../runtime/data/dataset.ts";
import { blockCount, checkpointSettings, modelNotes } from "../../shakenet/index.ts";
import { inferenceModel } from "../../shakenet/inference-model.ts";
import type { ModelFile, ModelInfo } from "../protocol.ts";

/** A model as read, before a session opens it. */
export interface Model {
  readonly info: ModelInfo;
  readonly onnx: Uint8Array;
  /** Makes the same network with its branches apart and an input `alpha` float [blocks]. */
  readonly shakeable?: (() => Uint8Array) | undefined;
}

/** Reads an .onnx file, or a checkpoint, which is frozen here. Throws UserError for bytes that are neither. */
export function readModel({ name, bytes, checkpoint }: ModelFile): Model {
  if (isCheckpoint(bytes)) {
    const trained = readCheckpoint(name, bytes);
    const onnx = inferenceModel(trained.settings, trained.checkpoint);
    return {
      info: { ...describe(trained.metadata), name, bytes: onnx.length, blocks: trained.blocks },
      onnx,
      shakeable: trained.shakeable,
    };
  }
  const info = { ...describe(decodeMetadata(bytes, name)), name, bytes: bytes.length };
  const { blocks, shakeable } = checkpoint
    ? readCheckpoint(name, checkpoint)
    : { blocks: alphaLength(bytes, name), shakeable: () => bytes };
  return { info: { ...info, blocks }, onnx: bytes, shakeable: blocks === undefined ? undefined : shakeable };
}

function readCheckpoint(name: string, bytes: Uint8Array) {
  const checkpoint = decodeCheckpoint(bytes, name);
  const settings = checkpointSettings(checkpoint, name);
  const notes = modelNotes(checkpoint, settings, { data: datasetOf(settings) });
  return {
    checkpoint,
    settings,
    metadata: notes.metadataProps ?? {},
    blocks: blockCount(settings),
    shakeable: () => inferenceModel(settings, checkpoint, {}, { alphaInput: true }),
  };
}

function describe(metadata: Readonly<Record<string, string>>): Omit<ModelInfo, "name" | "bytes" | "blocks"> {
  const { network, data, class_names: names, test_accuracy: accuracy } = metadata;
  return {
    network,
    data,
    classNames: names === undefined ? [] : (JSON.parse(names) as string[]),
    testAccuracy: accuracy === undefined ? undefined : Number(accuracy),
  };
}

/** The number of blocks that a model takes an alpha for, undefined where it takes none or is not of our operators. */
function alphaLength(bytes: Uint8Array, name: string): number | undefined {
  try {
    const alpha = decodeModel(bytes, name).graph.inputs.find((input) => input.name === "alpha");
    return alpha && Number(alpha.shape[0]);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function isCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(4, 8)) === "ODTC";
}
