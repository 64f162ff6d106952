import { averagedCheckpoint } from "../artifacts/averages.ts";
import type { Checkpoint } from "../artifacts/checkpoint.ts";
import {
  type Builder,
  createBuilder,
  createModel,
  dataTypeNumbers,
  encodeModel,
  Graph,
  simplifyForInference,
  type Tensor,
  UserError,
  type Value,
} from "../graph-builder/index.ts";
import { pixelFormats } from "../runtime/data/picture-input.ts";
import { evaluationJoining } from "./evaluation-joining.ts";
import { defaultForm, type InferenceForm } from "./inference-form.ts";
import { appendNetwork, blockCount, imageShapeOf, type NetworkSettings, networkTitle } from "./network.ts";
import { regularizationOf } from "./regularization.ts";

/** The documentation, metadata and opset of a file. */
export interface ModelNotes {
  readonly docString?: string | undefined;
  readonly metadataProps?: Readonly<Record<string, string>> | undefined;
  readonly opset?: number | undefined;
}

/**
 * The trained network as one plain .onnx: float [batch, channels, side, side] `images` of raw pixels 0..255
 * in, float [batch, classes] `logits` out, or as `form` says; normalisation inside, batch normalisation
 * folded, both branches merged into one. A checkpoint with averaged weights gives a network of the averages.
 * Throws UserError where the checkpoint lacks a tensor of the network, has it in another shape, or has a
 * trained one that the network does not read.
 */
export function inferenceModel(
  settings: NetworkSettings,
  checkpoint: Checkpoint,
  notes: ModelNotes = {},
  form: Partial<InferenceForm> = {},
): Uint8Array {
  const format = pixelFormats[settings.mean.length];
  const metadataProps = {
    ...(format === undefined ? {} : { "Image.BitmapPixelFormat": format }),
    ...notes.metadataProps,
  };
  return encodeInferenceModel(inferenceGraph(settings, checkpoint, form), { ...notes, metadataProps });
}

/**
 * A frozen graph as a file, with ONNX's `Image.*` entries beside the given metadata: those of colours, where
 * the metadata say nothing else.
 */
export function encodeInferenceModel(graph: Graph, notes: ModelNotes = {}): Uint8Array {
  const metadataProps = { ...imageMetadata, ...notes.metadataProps };
  return encodeModel(createModel(graph, { ...notes, metadataProps }));
}

/** The graph of `inferenceModel`. */
export function inferenceGraph(
  settings: NetworkSettings,
  checkpoint: Checkpoint,
  form: Partial<InferenceForm> = {},
): Graph {
  const { precision, ...rest } = { ...defaultForm, ...form };
  const trained = trainedGraph(settings, checkpoint, rest);
  return simplifyForInference(trained, precision === "float16" ? "float16" : "float");
}

/**
 * The network as its evaluation in training computes it, layer by layer: the reference for
 * `inferenceGraph`. `onBranches` may append nodes that read both branches of a block.
 */
export function trainedGraph(
  settings: NetworkSettings,
  checkpoint: Checkpoint,
  form: Partial<Omit<InferenceForm, "precision">> = {},
  onBranches?: (g: Builder, branch1: Value, branch2: Value) => void,
): Graph {
  const { input, output, batch, alphaInput } = { ...defaultForm, ...form };
  const g = createBuilder(new Graph("shakenet"));
  const weights = averagedCheckpoint(checkpoint);
  const shape = imageShapeOf(settings);
  const images = imageInput(g, input, batch === "dynamic" ? "batch" : batch, shape);
  if (alphaInput) expectTwoBranches(settings, "An input alpha");
  if (onBranches) expectTwoBranches(settings, "The correlation of branches");
  const alpha = alphaInput ? g.input("alpha", "float", [blockCount(settings)]) : undefined;
  const { mix, drop } = evaluationJoining(g, settings);
  const read = new Set<string>();
  const logits = appendNetwork(g, images, settings, {
    isTraining: false,
    tensor: ({ name, shape }) => {
      read.add(name);
      return g.constant(tensorOf(weights, name, shape), name);
    },
    mix: (branch1, branch2, block) => {
      onBranches?.(g, branch1, branch2);
      return alpha ? mixBy(g, branch1, branch2, alpha, block) : mix(branch1, branch2, block);
    },
    drop,
  });
  expectAllRead(weights, read);
  if (output === "logits") g.output(logits, "logits");
  // the axis is explicit, because the default was 1 before opset 13 and is -1 since
  else g.output(g.Softmax(logits, { axis: 1 }), "probabilities");
  return g.graph;
}

/** Throws UserError for a checkpoint with a trained tensor that the network does not read. */
function expectAllRead({ trainable }: Checkpoint, read: ReadonlySet<string>): void {
  const unread = [...trainable].map(([name]) => name).find((name) => !read.has(name));
  if (unread === undefined) return;
  throw new UserError(`The checkpoint has ${unread}, the network has not: it belongs to another network.`, {
    code: "artifacts-mismatch",
  });
}

/** Throws UserError for a network whose blocks do not mix two branches. */
function expectTwoBranches(settings: NetworkSettings, what: string): void {
  if (regularizationOf(settings) === "shake-shake") return;
  throw new UserError(`${what} needs two branches a block, and ${networkTitle(settings)} has one.`, {
    code: "setting-conflict",
  });
}

function imageInput(
  g: Builder,
  form: InferenceForm["input"],
  batch: number | string,
  [channels, height, width]: ReturnType<typeof imageShapeOf>,
): Value {
  if (form === "float32-nchw") return g.input("images", "float", [batch, channels, height, width]);
  const images = g.input("images", "uint8", [batch, height, width, channels]);
  return g.Transpose(g.Cast(images, { to: dataTypeNumbers.float }), { perm: [0, 3, 1, 2] });
}

/** alpha * branch1 + (1 - alpha) * branch2, one alpha per block. */
function mixBy(g: Builder, branch1: Value, branch2: Value, alpha: Value, block: number): Value {
  const weight = g.Slice(alpha, g.int64([block]), g.int64([block + 1]), g.int64([0]));
  return g.Add(g.Mul(branch1, weight), g.Mul(branch2, g.Sub(g.float(1), weight)));
}

function tensorOf({ trainable, frozen }: Checkpoint, name: string, shape: readonly number[]): Tensor {
  const tensor = trainable.get(name) ?? frozen.get(name);
  if (!tensor)
    throw new UserError(`The checkpoint has no ${name}: it belongs to another network.`, {
      code: "artifacts-mismatch",
    });
  if (tensor.dims.join() !== shape.join()) {
    throw new UserError(
      `The checkpoint's ${name} is [${tensor.dims.join(", ")}], the network wants [${shape.join(", ")}].`,
      { code: "artifacts-mismatch" },
    );
  }
  return tensor;
}

/** ONNX's standard metadata of an image input (onnx/onnx docs/MetadataProps.md). */
const imageMetadata = {
  "Image.BitmapPixelFormat": "Rgb8",
  "Image.ColorSpaceGamma": "SRGB",
  "Image.NominalPixelRange": "NominalRange_0_255",
};
