import { type Shape, tensorType } from "../types.ts";
import { matMulShape } from "./algebra.ts";
import { joined } from "./contents.ts";
import {
  commonElemType,
  dimAt,
  expectSame,
  normalAxis,
  reduceShape,
  refuse,
  sameAs,
  shapeInput,
  summedAxes,
} from "./inference.ts";
import {
  batchNormAttributes,
  convAttributes,
  crossEntropyAttributes,
  expectPerChannel,
  layerNormAttributes,
  maxPoolAttributes,
} from "./neural.ts";
import { attribute, type Operand, operator, required } from "./schema.ts";
import { tensors } from "./tensors.ts";

const activationGrad = operator({
  domain: "com.microsoft",
  inputs: ["dY", "Y"],
  outputs: ["dX"],
  infer: ([dY, Y]) => {
    expectSame(dY, Y);
    return sameAs(Y);
  },
});

const activation = operator({
  domain: "com.microsoft",
  inputs: ["X"],
  outputs: ["Y"],
  infer: ([X]) => sameAs(X),
});

/** The gradient of an activation whose backward pass reads the input. */
const inputGrad = operator({
  domain: "com.microsoft",
  inputs: ["dY", "X"],
  outputs: ["dX"],
  infer: ([dY, X]) => {
    expectSame(dY, X);
    return sameAs(X);
  },
});

/** The axes along which each of two shapes is stretched when they broadcast. */
function broadcastAxes(a: Shape, b: Shape): [Shape, Shape] {
  const rank = Math.max(a.length, b.length);
  const dim = (shape: Shape, axis: number) => shape[axis - rank + shape.length];
  const stretched = (own: Shape, other: Shape) =>
    Array.from({ length: rank }, (_, axis) => axis).filter(
      (axis) => dim(own, axis) === undefined || (dim(own, axis) === 1 && (dim(other, axis) ?? 1) !== 1),
    );
  return [stretched(a, b), stretched(b, a)];
}

/** The shape of a factor of FusedMatMul as the product sees it. */
function matMulFactor(value: Operand, transposed: number, batchTransposed: number): Shape {
  const batched = batchTransposed
    ? [...value.shape.slice(1, -1), dimAt(value.shape, 0), ...value.shape.slice(-1)]
    : [...value.shape];
  return transposed ? [...batched.slice(0, -2), ...batched.slice(-2).reverse()] : batched;
}

const softmaxGrad = operator({
  domain: "com.microsoft",
  inputs: ["dY", "Y"],
  outputs: ["dX"],
  attributes: { axis: attribute("int", -1) },
  infer: ([dY, Y]) => {
    expectSame(dY, Y);
    return sameAs(Y);
  },
});

/**
 * ONNX Runtime's training operators, with the names, inputs and attributes of its schemas
 * (orttraining/core/graph/training_op_defs.cc).
 */
export const training = {
  ConvGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X", "W"],
    outputs: ["dX?", "dW?", "dB?"],
    attributes: convAttributes,
    infer: ([, X, W]) => [X.type, W.type, tensorType(X.elemType, [dimAt(W.shape, 0)])],
  }),
  BatchNormInternal: operator({
    domain: "com.microsoft",
    inputs: ["X", "scale", "B", "input_mean", "input_var"],
    outputs: ["Y", "running_mean", "running_var", "saved_mean", "saved_inv_std"],
    attributes: batchNormAttributes,
    infer: ([X, scale, B, mean, variance]) => {
      expectPerChannel(X, scale, B, mean, variance);
      return [X.type, mean.type, variance.type, mean.type, variance.type];
    },
  }),
  BatchNormalizationGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X", "scale", "mean", "variance"],
    outputs: ["X_grad", "scale_grad", "bias_grad"],
    attributes: { epsilon: required("float") },
    infer: ([dY, X, scale, mean, invStd]) => {
      expectSame(dY, X);
      expectPerChannel(X, scale, mean, invStd);
      return [X.type, scale.type, scale.type];
    },
  }),
  ReluGrad: activationGrad,
  SigmoidGrad: activationGrad,
  TanhGrad: activationGrad,
  LeakyReluGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "Y"],
    outputs: ["dX"],
    attributes: { alpha: attribute("float", 0.01) },
    infer: ([dY, Y]) => {
      expectSame(dY, Y);
      return sameAs(Y);
    },
  }),
  Gelu: activation,
  GeluGrad: inputGrad,
  FastGelu: operator({
    domain: "com.microsoft",
    inputs: ["X", "bias?"],
    outputs: ["Y"],
    infer: ([X]) => sameAs(X),
  }),
  FastGeluGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X", "bias?"],
    outputs: ["dX"],
    infer: ([dY, X]) => {
      expectSame(dY, X);
      return sameAs(X);
    },
  }),
  QuickGelu: operator({
    domain: "com.microsoft",
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { alpha: attribute("float", 1.702) },
    infer: ([X]) => sameAs(X),
  }),
  QuickGeluGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X"],
    outputs: ["dX"],
    attributes: { alpha: attribute("float", 1.702) },
    infer: ([dY, X]) => {
      expectSame(dY, X);
      return sameAs(X);
    },
  }),
  DivGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "A", "B"],
    outputs: ["dA?", "dB?"],
    infer: ([, A, B]) => [A.type, B.type],
  }),
  SoftmaxGrad_13: softmaxGrad,
  LogSoftmaxGrad_13: softmaxGrad,
  LayerNormalizationGrad: operator({
    domain: "com.microsoft",
    inputs: ["Y_grad", "X", "scale", "mean", "inv_std_dev"],
    outputs: ["X_grad", "scale_grad", "bias_grad"],
    attributes: layerNormAttributes,
    infer: ([dY, X, scale]) => {
      expectSame(dY, X);
      return [X.type, scale.type, scale.type];
    },
  }),
  SimplifiedLayerNormalizationGrad: operator({
    domain: "com.microsoft",
    inputs: ["Y_grad", "X", "scale", "inv_std_var"],
    outputs: ["X_grad", "scale_grad"],
    attributes: layerNormAttributes,
    infer: ([dY, X, scale]) => {
      expectSame(dY, X);
      return [X.type, scale.type];
    },
  }),
  DropoutGrad: operator({
    domain: "com.microsoft",
    inputs: ["dy", "mask", "ratio?", "training_mode?"],
    outputs: ["dx"],
    infer: ([dY, mask]) => {
      expectSame(dY, mask);
      return sameAs(dY);
    },
  }),
  FusedMatMul: operator({
    domain: "com.microsoft",
    inputs: ["A", "B"],
    outputs: ["Y"],
    attributes: {
      alpha: attribute("float", 1),
      transA: attribute("int", 0),
      transB: attribute("int", 0),
      transBatchA: attribute("int", 0),
      transBatchB: attribute("int", 0),
    },
    infer: ([A, B], { transA, transB, transBatchA, transBatchB }) => {
      const shape = matMulShape(matMulFactor(A, transA, transBatchA), matMulFactor(B, transB, transBatchB));
      return [tensorType(commonElemType(A, B), shape)];
    },
  }),
  Scale: operator({
    domain: "com.microsoft",
    inputs: ["input", "scale"],
    outputs: ["output"],
    attributes: { scale_down: attribute("int", 0) },
    infer: ([input]) => sameAs(input),
  }),
  ReduceSumTraining: operator({
    domain: "com.microsoft",
    inputs: ["data", "axes"],
    outputs: ["reduced"],
    attributes: { keepdims: attribute("int", 1), noop_with_empty_axes: attribute("int", 0) },
    infer: ([data, axes], { keepdims, noop_with_empty_axes: noop }) => [
      tensorType(data.elemType, reduceShape(data.shape, summedAxes(data, axes, noop), keepdims)),
    ],
  }),
  BroadcastGradientArgs: operator({
    domain: "com.microsoft",
    inputs: ["a_shape", "b_shape"],
    outputs: ["a_axes?", "b_axes?"],
    infer: ([a, b]) =>
      broadcastAxes(shapeInput(a), shapeInput(b)).map(({ length }) => tensorType("int64", [length])),
    contents: ([a, b]) => broadcastAxes(shapeInput(a), shapeInput(b)),
  }),
  ConcatTraining: operator({
    domain: "com.microsoft",
    inputs: ["inputs..."],
    outputs: ["concat_result", "per_input_length?"],
    attributes: { axis: required("int") },
    infer: (inputs, attributes) => [
      ...tensors.Concat.infer(inputs, attributes),
      tensorType("int64", [inputs.length]),
    ],
    contents: (inputs, { axis }) => [
      joined(inputs, axis),
      inputs.map(({ shape }) => dimAt(shape, normalAxis(axis, shape.length))),
    ],
  }),
  SplitTraining: operator({
    domain: "com.microsoft",
    inputs: ["input", "split"],
    outputs: ["outputs..."],
    attributes: { axis: required("int") },
    infer: ([input, split], { axis }) => tensors.Split.infer([input, split], { axis }),
  }),
  SoftmaxCrossEntropyLossGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "log_prob", "label", "weight?"],
    outputs: ["d_logits"],
    attributes: crossEntropyAttributes,
    infer: ([, logProb]) => sameAs(logProb),
  }),
  GatherGrad: operator({
    domain: "com.microsoft",
    inputs: ["shape", "indices", "dY"],
    outputs: ["dX"],
    attributes: { axis: attribute("int", 0) },
    infer: ([shape, , dY]) => [tensorType(dY.elemType, shapeInput(shape))],
  }),
  SliceGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "shape", "starts", "ends", "axes?", "steps?"],
    outputs: ["dX"],
    infer: ([dY, shape]) => [tensorType(dY.elemType, shapeInput(shape))],
  }),
  MaxPoolGrad: operator({
    inputs: ["dY", "Indices"],
    outputs: ["dX"],
    attributes: maxPoolAttributes,
    // the kernel reads dX's shape from the file; here it is that of the MaxPool which the indices come from
    infer: ([dY, Indices]) => {
      expectSame(dY, Indices);
      const pool = Indices.producer;
      return pool?.opType === "MaxPool" ? sameAs(pool.input(0)) : refuse("Indices must come from a MaxPool");
    },
  }),
  InPlaceAccumulatorV2: operator({
    domain: "com.microsoft",
    inputs: ["accumulation_buffer", "value", "overwrite_flag?"],
    outputs: ["updated_flag", "accumulation_buffer_out?"],
    infer: ([buffer, value]) => {
      expectSame(buffer, value);
      return [tensorType("bool", [1]), buffer.type];
    },
  }),
  PassThrough: operator({
    domain: "com.microsoft",
    inputs: ["inputs..."],
    outputs: ["outputs..."],
    infer: (inputs) => inputs.map(({ type }) => type),
  }),
  InplaceClipGradNorm: operator({
    domain: "com.microsoft",
    inputs: ["gradients"],
    outputs: ["clipped_gradients"],
    attributes: { max_norm: attribute("float", 1), norm_type: attribute("string", "fro") },
    infer: ([gradients]) => [gradients.type],
  }),
  SGDOptimizerV2: operator({
    domain: "com.microsoft",
    inputs: ["lr", "weights", "gradients", "update_signal?"],
    outputs: ["update_completed", "updated_weights?"],
    infer: ([, weights]) => [tensorType("bool", []), weights.type],
  }),
  AdamWOptimizer: operator({
    domain: "com.microsoft",
    inputs: ["lr", "step", "weights", "gradients", "momentums_1", "momentums_2", "update_signal?"],
    outputs: ["updated_flag", "updated_weights?", "updated_momentums_1?", "updated_momentums_2?"],
    attributes: {
      adam_mode: attribute("int", 0),
      alpha: attribute("float", 0.9),
      beta: attribute("float", 0.999),
      correct_bias: attribute("int", 1),
      epsilon: attribute("float", 1e-8),
      weight_decay: attribute("float", 1e-2),
    },
    infer: ([, , weights]) => [tensorType("bool", [1]), weights.type, weights.type, weights.type],
  }),
};
