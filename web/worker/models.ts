import { isCheckpoint } from "../../artifacts/is-checkpoint.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { decodeOutline, type Outline } from "../../graph-builder/onnx/outline.ts";
import { feedingIn, type PictureFeeding } from "../../runtime/data/picture-input.ts";
import { classNamesIn } from "../../shakenet/class-names.ts";
import type { ModelFile, ModelInfo } from "../calls/model.ts";

/** A model that was read and is not opened yet. */
export interface Model {
  readonly info: Omit<ModelInfo, "input">;
  readonly feeding: PictureFeeding;
  /** The colour that its training laid transparent pictures on. */
  readonly background: readonly number[];
  readonly onnx: Uint8Array;
  /** Makes the same network with separate branches and an input `alpha` float [blocks]. */
  readonly shakeable?: (() => Promise<Uint8Array>) | undefined;
  /** The checkpoint that the network was frozen from, which its backward graph needs. */
  readonly checkpoint?: Uint8Array | undefined;
}

/** What reads checkpoints, with the compiler; it is loaded when a checkpoint is opened. */
const checkpoints = () => import("./checkpoints.ts");

/** Reads an .onnx file. Freezes a checkpoint. Throws UserError for bytes that are neither. */
export async function readModel(file: ModelFile): Promise<Model> {
  if (!isCheckpoint(file.bytes)) return modelIn(file);
  const { frozen } = await checkpoints();
  return modelIn({ ...frozen(file), feeding: file.feeding });
}

async function modelIn({ name, bytes, checkpoint, feeding }: ModelFile): Promise<Model> {
  const outline = decodeOutline(bytes, name);
  expectFrozen(outline, name);
  const { network, data, test_accuracy: accuracy, ...metadata } = outline.metadataProps;
  const { blocks, shakeable } = checkpoint
    ? (await checkpoints()).branchesOf(checkpoint, name)
    : branchesIn(bytes, outline);
  const unsaid = unsaidIn(outline);
  const known = feedingIn(metadata);
  const info = {
    name,
    network,
    data,
    classNames: classNamesIn(metadata),
    testAccuracy: accuracy === undefined ? undefined : Number(accuracy),
    bytes: bytes.length,
    blocks,
    pixels: feeding?.pixels ?? known.pixels ?? "raw",
    unsaid,
  };
  const size = feeding?.size ?? (unsaid.size ? usualSize : undefined);
  return {
    info,
    onnx: bytes,
    shakeable,
    checkpoint,
    feeding: { pixels: feeding?.pixels, size },
    background: backgroundIn(metadata),
  };
}

/** The size of the pictures that most classifiers of pictures of any size were trained on. */
const usualSize = { height: 224, width: 224 };

/** What a model does not say about how it is fed. A network of shake scales the pixels itself. */
function unsaidIn({ inputs, metadataProps }: Outline): ModelInfo["unsaid"] {
  const known = feedingIn(metadataProps);
  const [, type = ""] = Object.entries(inputs).find(([name]) => name !== "alpha") ?? [];
  const [, elements, dims = ""] = type.match(/^(\w+)\[[^,\]]*,?(.*)\]$/) ?? [];
  const isFixed = dims.split(",").every((dim) => /^\s*\d+\s*$/.test(dim));
  return {
    pixels: elements === "float" && known.pixels === undefined && metadataProps["network"] === undefined,
    size: known.size === undefined && dims !== "" && !isFixed,
  };
}

function backgroundIn({ background = "" }: Readonly<Record<string, string>>): readonly number[] {
  const colour = background.split(",").map(Number);
  const isColour = background !== "" && colour.every((value) => value >= 0 && value <= 255);
  return isColour ? colour : [255, 255, 255];
}

/** Throws UserError, which names what to drop instead, for the other files of training artifacts. */
function expectFrozen({ inputs }: Outline, name: string): void {
  const kind = trainingKind(Object.keys(inputs));
  if (kind)
    throw new UserError(`${name} is ${kind}: drop model.onnx of the run, or its checkpoint.`, {
      code: "model-unsupported",
      details: { model: name, kind },
    });
}

function trainingKind(inputs: readonly string[]): string | undefined {
  const isUpdating = inputs.includes("learning_rate") || inputs.includes("lazy_reset_grad");
  if (inputs.includes("labels")) return isUpdating ? "a training model" : "an evaluation model";
  return isUpdating ? "an optimizer model" : undefined;
}

/** The branches of a model with an input `alpha`; nothing where it lacks one. */
function branchesIn(
  bytes: Uint8Array,
  { inputs }: Outline,
): Pick<Model, "shakeable"> & { blocks?: number | undefined } {
  const [, blocks] = inputs["alpha"]?.match(/^float\[(\d+)\]$/) ?? [];
  return blocks === undefined ? {} : { blocks: Number(blocks), shakeable: async () => bytes };
}
