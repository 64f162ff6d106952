import {
  type Builder,
  createBuilder,
  createModel,
  Graph,
  type Model,
  type Value,
} from "../../graph-builder/index.ts";
import { weight } from "./artifact-models.ts";

/** A small classifier of 10 classes of pictures [batch, channels, side, side], or with the channels last. */
export function pictureModel({
  layout = "nchw",
  side = 12,
  channels = 3,
  batch = "batch",
  dropout = 0,
}: {
  readonly layout?: "nchw" | "nhwc";
  readonly side?: number | string;
  readonly channels?: number;
  readonly batch?: string | number;
  /** The ratio of the features that are dropped in training. */
  readonly dropout?: number;
} = {}): Model {
  const g = createBuilder(new Graph("pictures"));
  const shape = layout === "nchw" ? [batch, channels, side, side] : [batch, side, side, channels];
  const x = g.input("x", "float", shape);
  const images = layout === "nchw" ? x : g.Transpose(x, { perm: [0, 3, 1, 2] });
  g.output(classifierOf(g, images, channels, dropout), "y");
  return createModel(g.graph, { metadataProps: { author: "a test" } });
}

function classifierOf(g: Builder, images: Value, channels: number, dropout: number): Value {
  const W = weight(g, "conv.weight", [6, channels, 3, 3]);
  const features = g.Relu(g.Conv(images, W, { strides: [2, 2], pads: [1, 1, 1, 1] }));
  const flat = g.Flatten(g.GlobalAveragePool(features));
  const kept = dropout === 0 ? flat : g.Dropout(flat, g.float(dropout))[0];
  return g.Gemm(kept, weight(g, "fc.weight", [10, 6]), weight(g, "fc.bias", [10]), { transB: 1 });
}
