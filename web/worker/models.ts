import { decodeMetadata } from "../../graph-builder/onnx/metadata.ts";
import { decodeOutline } from "../../graph-builder/onnx/outline.ts";
import { classNamesIn } from "../../shakenet/class-names.ts";
import type { ModelFile, ModelInfo } from "../calls/model.ts";

/** A model that was read and is not opened yet. */
export interface Model {
  readonly info: ModelInfo;
  readonly onnx: Uint8Array;
  /** Makes the same network with separate branches and an input `alpha` float [blocks]. */
  readonly shakeable?: (() => Promise<Uint8Array>) | undefined;
}

/** What reads checkpoints, with the compiler; it is loaded when a checkpoint is opened. */
const checkpoints = () => import("./checkpoints.ts");

/** Reads an .onnx file. Freezes a checkpoint. Throws UserError for bytes that are neither. */
export async function readModel(file: ModelFile): Promise<Model> {
  if (!isCheckpoint(file.bytes)) return modelIn(file);
  const { frozen } = await checkpoints();
  return modelIn(frozen(file));
}

async function modelIn({ name, bytes, checkpoint }: ModelFile): Promise<Model> {
  const { network, data, test_accuracy: accuracy, ...metadata } = decodeMetadata(bytes, name);
  const { blocks, shakeable } = checkpoint
    ? (await checkpoints()).branchesOf(checkpoint, name)
    : branchesIn(bytes, name);
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

/** The branches of a model with an input `alpha`; nothing where it lacks one. */
function branchesIn(
  bytes: Uint8Array,
  name: string,
): Pick<Model, "shakeable"> & { blocks?: number | undefined } {
  const [, blocks] = decodeOutline(bytes, name).inputs["alpha"]?.match(/^float\[(\d+)\]$/) ?? [];
  return blocks === undefined ? {} : { blocks: Number(blocks), shakeable: async () => bytes };
}

function isCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(4, 8)) === "ODTC";
}
