import { at } from "../at.ts";
import { productOf, sumOf } from "../dims.ts";
import { type Shape, type TensorType, tensorType } from "../types.ts";
import {
  broadcastShapes,
  commonElemType,
  dimAt,
  mayEqual,
  normalAxis,
  refuse,
  staticDim,
} from "./inference.ts";
import { attribute, type Operand, operator, optional, required } from "./schema.ts";
import { spanOf, windowedDims, windowOf } from "./windows.ts";

const windowAttributes = {
  auto_pad: attribute("string", "NOTSET"),
  dilations: optional("ints"),
  pads: optional("ints"),
  strides: optional("ints"),
};

/** The attributes of Conv, which its gradient shares. */
export const convAttributes = {
  ...windowAttributes,
  group: attribute("int", 1),
  kernel_shape: optional("ints"),
};

const poolAttributes = {
  auto_pad: attribute("string", "NOTSET"),
  ceil_mode: attribute("int", 0),
  kernel_shape: required("ints"),
  pads: optional("ints"),
  strides: optional("ints"),
};

/** The attributes of AveragePool, which its gradient shares. */
export const averagePoolAttributes = {
  ...poolAttributes,
  count_include_pad: attribute("int", 0),
  dilations: optional("ints"),
};

/** The attributes of MaxPool, which its gradient shares. */
export const maxPoolAttributes = {
  ...poolAttributes,
  dilations: optional("ints"),
  storage_order: attribute("int", 0),
};

/** The attributes of BatchNormalization, which ONNX Runtime's BatchNormInternal shares. */
export const batchNormAttributes = {
  epsilon: attribute("float", 1e-5),
  momentum: attribute("float", 0.9),
  training_mode: attribute("int", 0),
};

/** The attributes of LayerNormalization, which its gradient shares. */
export const layerNormAttributes = {
  axis: attribute("int", -1),
  epsilon: attribute("float", 1e-5),
  stash_type: attribute("int", 1),
};

/** The type of a loss: that of the scores, and for reduction "none" the shape of the labels. */
function lossType(scores: Operand, labels: Operand, reduction: string): TensorType {
  const expected = scores.shape.filter((_, axis) => axis !== 1);
  const fits = expected.length === labels.shape.length;
  if (!fits || !expected.every((dim, i) => mayEqual(dim, dimAt(labels.shape, i)))) {
    refuse(`labels [${labels.shape.join(", ")}] do not fit scores [${scores.shape.join(", ")}]`);
  }
  return tensorType(scores.elemType, reduction === "none" ? labels.shape : []);
}

/** The shape of layer normalisation's mean: the axes from `axis` on are 1. */
function statisticsShape(X: Operand, axis: number): Shape {
  const first = normalAxis(axis, X.shape.length);
  return X.shape.map((dim, i) => (i < first ? dim : 1));
}

/** The attributes of the losses of classes, which their gradients share. */
export const crossEntropyAttributes = {
  ignore_index: optional("int"),
  reduction: attribute("string", "mean"),
};

/** The spatial kernel of a convolution: the attribute, or the weight's trailing dimensions. */
export function kernelOf(
  W: Operand,
  attributes: { readonly kernel_shape?: readonly number[] | undefined },
): number[] {
  return attributes.kernel_shape
    ? [...attributes.kernel_shape]
    : W.shape.slice(2).map((_, i) => staticDim(W.shape, i + 2));
}

/** Refuses batch-normalisation statistics that are not one number a channel of X. */
export function expectPerChannel(X: Operand, ...statistics: readonly Operand[]): void {
  const channels = dimAt(X.shape, 1);
  for (const { shape } of statistics) {
    if (shape.length !== 1 || !mayEqual(dimAt(shape, 0), channels)) {
      refuse(`scale, bias and statistics must have the shape [${channels}], not [${shape.join(", ")}]`);
    }
  }
}

export const neural = {
  Conv: operator({
    inputs: ["X", "W", "B?"],
    outputs: ["Y"],
    attributes: convAttributes,
    infer: ([X, W, B], attributes) => {
      const filters = dimAt(W.shape, 0);
      const channels = productOf([attributes.group, dimAt(W.shape, 1)]);
      if (X.shape.length !== W.shape.length) refuse(`X has rank ${X.shape.length}, W rank ${W.shape.length}`);
      if (!mayEqual(dimAt(X.shape, 1), channels)) {
        refuse(`X has ${X.shape[1]} channels, W wants ${channels}`);
      }
      if (B && (B.shape.length !== 1 || !mayEqual(dimAt(B.shape, 0), filters))) {
        refuse(`B must have the shape [${filters}]`);
      }
      const window = windowOf(attributes.kernel_shape ?? W.shape.slice(2), attributes);
      const shape = [dimAt(X.shape, 0), filters, ...windowedDims(X.shape.slice(2), window)];
      return [tensorType(commonElemType(X, W), shape)];
    },
  }),
  ConvTranspose: operator({
    inputs: ["X", "W", "B?"],
    outputs: ["Y"],
    attributes: { ...convAttributes, output_padding: optional("ints"), output_shape: optional("ints") },
    infer: ([X, W], attributes) => {
      if (attributes.output_shape) refuse("output_shape is not supported, give pads");
      const kernel = kernelOf(W, attributes);
      const window = windowOf(kernel, attributes);
      const extra = attributes.output_padding ?? kernel.map(() => 0);
      if (extra.length !== kernel.length)
        refuse(`output_padding has ${extra.length} numbers, not ${kernel.length}`);
      const spatial = kernel.map((_, i) => {
        const padding = at(window.pads, i) + at(window.pads, i + kernel.length);
        const strided = productOf([at(window.strides, i), sumOf(dimAt(X.shape, i + 2), -1)]);
        return sumOf(strided, sumOf(spanOf(window, i), at(extra, i) - padding));
      });
      if (!mayEqual(dimAt(X.shape, 1), dimAt(W.shape, 0)))
        refuse(`X has ${X.shape[1]} channels, W wants ${W.shape[0]}`);
      const filters = staticDim(W.shape, 1) * attributes.group;
      return [tensorType(commonElemType(X, W), [dimAt(X.shape, 0), filters, ...spatial])];
    },
  }),
  MaxPool: operator({
    inputs: ["X"],
    outputs: ["Y", "Indices?"],
    attributes: maxPoolAttributes,
    infer: ([X], attributes) => {
      const window = windowOf(attributes.kernel_shape, attributes);
      const shape = [
        ...X.shape.slice(0, 2),
        ...windowedDims(X.shape.slice(2), window, attributes.ceil_mode === 1),
      ];
      return [tensorType(X.elemType, shape), tensorType("int64", shape)];
    },
  }),
  AveragePool: operator({
    since: ({ dilations }) => (dilations?.some((dilation) => dilation !== 1) ? 19 : 0),
    inputs: ["X"],
    outputs: ["Y"],
    attributes: averagePoolAttributes,
    infer: ([X], attributes) => {
      const window = windowOf(attributes.kernel_shape, attributes);
      const spatial = windowedDims(X.shape.slice(2), window, attributes.ceil_mode === 1);
      return [tensorType(X.elemType, [...X.shape.slice(0, 2), ...spatial])];
    },
  }),
  GlobalAveragePool: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => [
      tensorType(
        X.elemType,
        X.shape.map((dim, i) => (i < 2 ? dim : 1)),
      ),
    ],
  }),
  BatchNormalization: operator({
    inputs: ["X", "scale", "B", "input_mean", "input_var"],
    outputs: ["Y", "running_mean?", "running_var?"],
    attributes: batchNormAttributes,
    obligatoryOutputs: ({ training_mode }) => (training_mode ? 3 : 1),
    infer: ([X, scale, B, mean, variance]) => {
      expectPerChannel(X, scale, B, mean, variance);
      return [X.type, mean.type, variance.type];
    },
  }),
  InstanceNormalization: operator({
    inputs: ["input", "scale", "B"],
    outputs: ["output"],
    attributes: { epsilon: attribute("float", 1e-5) },
    infer: ([input, scale, B]) => {
      expectPerChannel(input, scale, B);
      return [input.tensor];
    },
  }),
  LayerNormalization: operator({
    since: 17,
    inputs: ["X", "Scale", "B?"],
    outputs: ["Y", "Mean?", "InvStdDev?"],
    attributes: layerNormAttributes,
    infer: ([X, Scale, B], { axis }) => {
      const statistics = statisticsShape(X, axis);
      for (const value of B ? [Scale, B] : [Scale]) broadcastShapes(X.shape, value.shape);
      return [X.type, tensorType("float", statistics), tensorType("float", statistics)];
    },
  }),
  // not in ONNX, but in ONNX Runtime's ai.onnx: layer normalisation without a mean, RMSNorm
  SimplifiedLayerNormalization: operator({
    inputs: ["X", "scale"],
    outputs: ["Y", "inv_std_var?"],
    attributes: layerNormAttributes,
    infer: ([X, scale], { axis }) => {
      if (!/float|double/.test(X.elemType)) refuse(`takes floats, not ${X.elemType}`);
      broadcastShapes(X.shape, scale.shape);
      return [X.type, tensorType("float", statisticsShape(X, axis))];
    },
  }),
  Dropout: operator({
    since: (_, [, ratio]) => (ratio?.elemType === "bfloat16" ? 22 : 0),
    inputs: ["data", "ratio?", "training_mode?"],
    outputs: ["output", "mask?"],
    attributes: { seed: optional("int") },
    isRandom: true,
    infer: ([data]) => [data.type, tensorType("bool", data.shape)],
  }),
  SoftmaxCrossEntropyLoss: operator({
    since: 12,
    inputs: ["scores", "labels", "weights?"],
    outputs: ["output", "log_prob?"],
    attributes: crossEntropyAttributes,
    infer: ([scores, labels], { reduction }) => [lossType(scores, labels, reduction), scores.type],
  }),
  NegativeLogLikelihoodLoss: operator({
    since: 12,
    inputs: ["input", "target", "weight?"],
    outputs: ["loss"],
    attributes: crossEntropyAttributes,
    infer: ([input, target], { reduction }) => [lossType(input, target, reduction)],
  }),
};
