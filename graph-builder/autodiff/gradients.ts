import type { Builder } from "../builder.ts";
import { averagePoolGradient, elementsOver, spatialAxes } from "../composites.ts";
import type { Node, Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { FunctionType, OpType } from "../operators/index.ts";
import { constantNumbers, meanAxes, staticDim, summedAxes } from "../operators/inference.ts";
import { Tensor } from "../tensor.ts";

/**
 * A node for which a rule computes gradients: inputs `I(i)`, outputs `O(i)`, and the gradients of its
 * outputs. `I` and `O` return a value's substitute where the backward pass has one.
 */
export interface Backward<K extends OpType | FunctionType = OpType | FunctionType> {
  readonly node: Node<K>;
  readonly attributes: Node<K>["attributes"];
  readonly I: (index: number) => Value;
  /** The input at `index`, or null where the node has none. */
  readonly optional: (index: number) => Value | null;
  readonly O: (index: number) => Value;
  /** The gradient of output 0. */
  readonly dY: Value;
  /** The gradient of the output at `index`; zeros where the loss does not depend on it. */
  readonly dO: (index: number) => Value;
}

/**
 * Returns one gradient per input: a value, a function that is called only where the gradient is needed, or
 * null.
 */
export type GradientRule<K extends OpType | FunctionType = OpType | FunctionType> = (
  g: Builder,
  back: Backward<K>,
) => readonly (Value | (() => Value) | null)[];

/**
 * An operator's rule, "zero" where the derivative is 0 wherever it exists, or the reason why it has no
 * gradient.
 */
export type Gradient<K extends OpType | FunctionType = OpType | FunctionType> =
  | GradientRule<K>
  | "zero"
  | { readonly none: string };

const isGradient = { none: "it is itself part of a backward pass" } as const;
const fromLowering = { none: "only lowerings emit it" } as const;

/**
 * The vector-Jacobian product of every operator. dY is the gradient of the output Y, and dX of the input X.
 * Autodiff sums broadcast axes afterwards.
 */
export const gradients: { readonly [K in OpType]: Gradient<K> } = {
  // --- elementwise ---
  Identity: (_, { dY }) => [dY],
  Neg: (g, { dY }) => [g.Neg(dY)],
  // dX = dY * sign(X)
  Abs: (g, { I, dY }) => [g.Mul(dY, g.Sub(isPositive(g, I(0)), isPositive(g, g.Neg(I(0)))))],
  // dX = dY * Y
  Exp: (g, { O, dY }) => [g.Mul(dY, O(0))],
  // dX = dY / X
  Log: (g, { I, dY }) => [g.Div(dY, I(0))],
  // dX = dY * 2 / sqrt(pi) * exp(-X^2)
  Erf: (g, { I, dY }) => [g.Mul(dY, g.Mul(g.float(2 / Math.sqrt(Math.PI)), g.Exp(g.Neg(g.Mul(I(0), I(0))))))],
  Sign: "zero",
  Round: "zero",
  Sin: (g, { I, dY }) => [g.Mul(dY, g.Cos(I(0)))],
  Cos: (g, { I, dY }) => [g.Neg(g.Mul(dY, g.Sin(I(0))))],
  // dX = dY / 2Y
  Sqrt: (g, { O, dY }) => [g.Div(dY, g.Add(O(0), O(0)))],
  // dX = -dY * Y^2
  Reciprocal: (g, { O, dY }) => [g.Neg(g.Mul(dY, g.Mul(O(0), O(0))))],
  Sigmoid: (g, { O, dY }) => [g.SigmoidGrad(dY, O(0))],
  Tanh: (g, { O, dY }) => [g.TanhGrad(dY, O(0))],
  Relu: (g, { O, dY }) => [g.ReluGrad(dY, O(0))],
  // dX = dY where X > 0, else alpha dY
  LeakyRelu: (g, { I, dY, attributes }) => [
    g.Where(g.Greater(I(0), g.float(0)), dY, g.Mul(dY, g.float(attributes.alpha))),
  ],
  // dX = alpha dY where 0 < Y < 1
  HardSigmoid: (g, { O, dY, attributes }) => [
    g.Where(
      g.And(g.Greater(O(0), g.float(0)), g.Less(O(0), g.float(1))),
      g.Mul(dY, g.float(attributes.alpha)),
      g.float(0),
    ),
  ],
  // dX = dY where X was not clipped
  Clip: (g, { I, O, dY }) => [g.Where(g.Equal(I(0), O(0)), dY, g.float(0)), null, null],
  Cast: (g, { I, dY }) => [g.Cast(dY, { to: dataTypeNumbers[I(0).elemType] })],
  Add: (_, { dY }) => [dY, dY],
  Sub: (g, { dY }) => [dY, () => g.Neg(dY)],
  // dA = dY * B, dB = dY * A
  Mul: (g, { I, dY }) => [() => g.Mul(dY, I(1)), () => g.Mul(dY, I(0))],
  // dA = dY / B, dB = -dY * C / B
  Div: (g, { I, O, dY }) => [() => g.Div(dY, I(1)), () => g.Neg(g.Div(g.Mul(dY, O(0)), I(1)))],
  // dX = dY * Y * X^(Y-1), dY = dZ * Z * ln X
  Pow: (g, { I, O, dY }) => [
    () => g.Mul(dY, g.Mul(I(1), g.Pow(I(0), g.Sub(I(1), g.float(1))))),
    () => g.Mul(dY, g.Mul(O(0), g.Log(I(0)))),
  ],
  Sum: (_, { node, dY }) => node.inputs.map(() => dY),
  Min: (g, back) => extremum(g, back),
  Max: (g, back) => extremum(g, back),
  Where: (g, { I, dY }) => [null, () => g.Where(I(0), dY, g.float(0)), () => g.Where(I(0), g.float(0), dY)],
  Mod: { none: "it is not continuous" },
  Not: "zero",
  Equal: "zero",
  Greater: "zero",
  Less: "zero",
  GreaterOrEqual: "zero",
  LessOrEqual: "zero",
  And: "zero",

  // --- shapes and places ---
  Shape: "zero",
  Size: "zero",
  ConstantOfShape: "zero",
  Range: "zero",
  OneHot: { none: "its values are taken to be constants" },
  ArgMax: "zero",
  Reshape: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  Flatten: (g, { I, dY }) => [likeInput(g, I(0), dY)],
  Squeeze: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  Unsqueeze: (g, { I, dY }) => [likeInput(g, I(0), dY), null],
  // dX = dY under the inverse permutation
  Transpose: (g, { I, dY, attributes: { perm } }) => [
    g.Transpose(dY, perm ? { perm: I(0).shape.map((_, axis) => perm.indexOf(axis)) } : {}),
  ],
  Concat: (g, { node, I, dY, attributes: { axis } }) => {
    const at = axis < 0 ? axis + dY.shape.length : axis;
    const sizes = node.inputs.map((_, i) => staticDim(I(i).shape, at));
    return g.Split(dY, g.int64(sizes), { axis: at });
  },
  Split: (g, { node, dO, attributes: { axis } }) => [
    g.Concat(...node.outputs.map((_, i) => dO(i)), { axis }),
    null,
  ],
  Slice: (g, { I, optional, dY }) => [g.SliceGrad(dY, g.Shape(I(0)), I(1), I(2), optional(3), optional(4))],
  // Pad with negative pads crops
  Pad: (g, { I, dY, attributes: { mode } }) => {
    if (mode !== "constant") throw new Error(`the gradient of Pad in mode ${mode} is not known`);
    const pads = constantNumbers(I(1), "pads");
    return [g.Pad(dY, g.int64(pads.map((pad) => -pad))), null, null];
  },
  Expand: (_, { dY }) => [dY, null],
  // dY reshaped to [r0, d0, r1, d1, ...], r the repeats and d X's dimensions; dX is the sum over the r axes
  Tile: (g, { I, dY }) => {
    const columns = [I(1), g.Shape(I(0))].map((dims) => g.Unsqueeze(dims, g.int64([1])));
    const apart = g.Reshape(dY, g.Reshape(g.Concat(...columns, { axis: 1 }), g.int64([-1])));
    const repeats = I(0).shape.map((_, axis) => 2 * axis);
    return [g.ReduceSum(apart, g.int64(repeats), { keepdims: 0 }), null];
  },
  Gather: (g, { I, dY, attributes }) => [g.GatherGrad(g.Shape(I(0)), I(1), dY, attributes), null],
  ScatterElements: fromLowering,
  ReduceSum: (g, { I, optional, dY, attributes: { keepdims, noop_with_empty_axes: noop } }) => {
    const axes = summedAxes(I(0), optional(1), noop);
    return [g.Expand(keepdims ? dY : g.Unsqueeze(dY, g.int64(axes)), g.Shape(I(0))), null];
  },
  // dX = dY / n, with n the number of elements in each mean
  ReduceMean: (g, { I, dY, attributes }) => {
    const axes = meanAxes(I(0), attributes.axes);
    const mean = g.Div(overReduced(g, I(0), dY, attributes), elementsOver(g, I(0), axes));
    return [g.Expand(mean, g.Shape(I(0)))];
  },
  // dX = dY * X / Y, and 0 where Y is 0
  ReduceL2: (g, { I, O, dY, attributes }) => {
    const share = g.Where(g.Equal(O(0), g.float(0)), g.float(0), g.Div(dY, O(0)));
    return [g.Mul(I(0), overReduced(g, I(0), share, attributes))];
  },
  // dX = dY * exp(X - Y)
  ReduceLogSumExp: (g, { I, O, dY, attributes }) => {
    const [Y, dX] = [overReduced(g, I(0), O(0), attributes), overReduced(g, I(0), dY, attributes)];
    return [g.Mul(g.Exp(g.Sub(I(0), Y)), dX)];
  },

  // --- linear algebra ---
  // dA = dY B', dB = A' dY; a vector A is a row, a vector B is a column
  MatMul: (g, { I, dY }) => {
    const [isRow, isColumn] = [I(0).shape.length === 1, I(1).shape.length === 1];
    const A = isRow ? g.Unsqueeze(I(0), g.int64([0])) : I(0);
    const B = isColumn ? g.Unsqueeze(I(1), g.int64([1])) : I(1);
    const dropped = [...(isRow ? [-2] : []), ...(isColumn ? [-1] : [])];
    const dC = dropped.length > 0 ? g.Unsqueeze(dY, g.int64(dropped)) : dY;
    const without = (value: Value, axis: number) => g.Squeeze(value, g.int64([axis]));
    return [
      () => {
        const dA = g.MatMul(dC, transposed(g, B));
        return isRow ? without(dA, -2) : dA;
      },
      () => {
        const dB = g.MatMul(transposed(g, A), dC);
        return isColumn ? without(dB, -1) : dB;
      },
    ];
  },
  // Y = alpha op(A) op(B) + beta C
  Gemm: (g, { I, optional, dY, attributes: { alpha, beta, transA, transB } }) => [
    () =>
      transA
        ? g.Gemm(I(1), dY, { alpha, transA: transB, transB: 1 })
        : g.Gemm(dY, I(1), { alpha, transB: 1 - transB }),
    () =>
      transB
        ? g.Gemm(dY, I(0), { alpha, transA: 1, transB: transA })
        : g.Gemm(I(0), dY, { alpha, transA: 1 - transA }),
    optional(2) ? () => (beta === 1 ? dY : g.Mul(dY, g.float(beta))) : null,
  ],
  Conv: (g, { I, dY, attributes }) => g.ConvGrad(dY, I(0), I(1), attributes),
  // ConvTranspose is the adjoint of a Conv: dX = Conv(dY, W), and dW is that Conv's dW with X and dY
  // exchanged
  ConvTranspose: (g, { I, optional, dY, attributes }) => {
    const { output_padding: _, output_shape: __, ...window } = attributes;
    return [
      () => g.Conv(dY, I(1), window),
      () => g.ConvGrad(I(0), dY, I(1), window)[1],
      optional(2) ? () => g.ReduceSum(dY, g.int64([0, ...spatialAxes(dY)]), { keepdims: 0 }) : null,
    ];
  },

  // --- pooling ---
  MaxPool: (g, { O, dY, attributes }) => {
    if (attributes.storage_order)
      throw new Error("the gradient of MaxPool with storage_order 1 is not known");
    return [g.MaxPoolGrad(dY, O(1), attributes)];
  },
  AveragePool: (g, { I, dY, attributes }) => [averagePoolGradient(g, dY, I(0).shape, attributes)],
  GlobalAveragePool: (g, { I, dY }) => [
    g.Expand(g.Div(dY, elementsOver(g, I(0), spatialAxes(I(0)))), g.Shape(I(0))),
  ],

  // --- normalisation and loss ---
  BatchNormalization: (g, { I, dY, attributes: { epsilon, training_mode } }) => {
    const [X, scale] = [I(0), I(1)];
    const [mean, variance] = training_mode ? batchStatistics(g, X) : [I(3), I(4)];
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(epsilon))));
    if (training_mode) return g.BatchNormalizationGrad(dY, X, scale, mean, invStd, { epsilon });
    const axes = g.int64([0, ...spatialAxes(X)]);
    const channel = (value: Value) => g.Unsqueeze(value, g.int64(spatialAxes(X).map((axis) => axis - 1)));
    return [
      () => g.Mul(dY, channel(g.Mul(scale, invStd))),
      () => g.ReduceSum(g.Mul(dY, g.Mul(g.Sub(X, channel(mean)), channel(invStd))), axes, { keepdims: 0 }),
      () => g.ReduceSum(dY, axes, { keepdims: 0 }),
      null,
      null,
    ];
  },
  BatchNormInternal: (g, { I, O, dY, attributes: { epsilon } }) =>
    g.BatchNormalizationGrad(dY, I(0), I(1), O(3), O(4), { epsilon }),
  LayerNormalization: (g, { I, optional, O, dY, attributes }) => {
    const [dX, dScale, dB] = g.LayerNormalizationGrad(dY, I(0), I(1), O(1), O(2), attributes);
    return optional(2) ? [dX, dScale, dB] : [dX, dScale];
  },
  SimplifiedLayerNormalization: (g, { I, O, dY, attributes }) =>
    g.SimplifiedLayerNormalizationGrad(dY, I(0), I(1), O(1), attributes),
  Dropout: (g, { optional, O, dY }) => [
    g.DropoutGrad(dY, O(1), optional(1), optional(2) ?? g.constant(new Tensor("bool", [], Uint8Array.of(0)))),
    null,
    null,
  ],
  Softmax: (g, { O, dY, attributes }) => [g.SoftmaxGrad_13(dY, O(0), attributes)],
  LogSoftmax: (g, { O, dY, attributes }) => [g.LogSoftmaxGrad_13(dY, O(0), attributes)],
  SoftmaxCrossEntropyLoss: (g, { I, optional, O, dY, attributes }) => [
    g.SoftmaxCrossEntropyLossGrad(dY, O(1), I(1), optional(2), attributes),
  ],

  // --- quantisation ---
  QuantizeLinear: { none: "it rounds to whole numbers" },
  DequantizeLinear: { none: "it reads whole numbers" },

  // --- blocked layout ---
  ReorderInput: fromLowering,
  ReorderOutput: fromLowering,
  NchwcConv: fromLowering,
  NhwcConv: fromLowering,
  NhwcConvTranspose: fromLowering,
  BiasDropout: fromLowering,

  // --- training operators ---
  Gelu: (g, { I, dY }) => [g.GeluGrad(dY, I(0))],
  FastGelu: (g, { I, optional, dY }) => {
    const dX = g.FastGeluGrad(dY, I(0), optional(1));
    return [dX, dX];
  },
  QuickGelu: (g, { I, dY, attributes }) => [g.QuickGeluGrad(dY, I(0), attributes)],
  FusedMatMul: isGradient,
  Scale: isGradient,
  ConcatTraining: isGradient,
  SplitTraining: isGradient,
  ReduceSumTraining: isGradient,
  BroadcastGradientArgs: "zero",
  DivGrad: isGradient,
  LeakyReluGrad: isGradient,
  GeluGrad: isGradient,
  FastGeluGrad: isGradient,
  QuickGeluGrad: isGradient,
  LayerNormalizationGrad: isGradient,
  SimplifiedLayerNormalizationGrad: isGradient,
  DropoutGrad: isGradient,
  InplaceClipGradNorm: isGradient,
  ConvGrad: isGradient,
  BatchNormalizationGrad: isGradient,
  ReluGrad: isGradient,
  SigmoidGrad: isGradient,
  TanhGrad: isGradient,
  SoftmaxGrad_13: isGradient,
  LogSoftmaxGrad_13: isGradient,
  SoftmaxCrossEntropyLossGrad: isGradient,
  GatherGrad: isGradient,
  SliceGrad: isGradient,
  MaxPoolGrad: isGradient,
  InPlaceAccumulatorV2: isGradient,
  PassThrough: isGradient,
  SGDOptimizerV2: isGradient,
  AdamWOptimizer: isGradient,
};

function isPositive(g: Builder, X: Value): Value {
  return g.Cast(g.Greater(X, g.float(0)), { to: dataTypeNumbers[X.elemType] });
}

/** dX_i = dY / n where X_i is the extremum, and n inputs are equal to it. */
function extremum(g: Builder, { node, I, O, dY }: Backward<"Min"> | Backward<"Max">): (() => Value)[] {
  const isExtreme = node.inputs.map((_, i) =>
    g.Cast(g.Equal(I(i), O(0)), { to: dataTypeNumbers[dY.elemType] }),
  );
  const share = g.Div(dY, g.Sum(...isExtreme));
  return isExtreme.map((mask) => () => g.Mul(share, mask));
}

/** dY in the shape of X. */
function likeInput(g: Builder, X: Value, dY: Value): Value {
  return g.Reshape(dY, g.Shape(X));
}

/** Restores the reduced axes of a reduction's output as 1, so that it broadcasts over X. */
function overReduced(
  g: Builder,
  X: Value,
  value: Value,
  { axes, keepdims }: { readonly axes?: readonly number[] | undefined; readonly keepdims: number },
): Value {
  return keepdims ? value : g.Unsqueeze(value, g.int64(meanAxes(X, axes)));
}

/** Exchanges the last two axes. */
function transposed(g: Builder, X: Value): Value {
  const perm = X.shape.map((_, i) => i);
  const last = perm.length - 1;
  return g.Transpose(X, { perm: [...perm.slice(0, -2), last, last - 1] });
}

/** The mean and the biased variance of each channel. */
function batchStatistics(g: Builder, X: Value): [mean: Value, variance: Value] {
  const axes = [0, ...spatialAxes(X)];
  const centred = g.Sub(X, g.ReduceMean(X, { axes }));
  return [
    g.ReduceMean(X, { axes, keepdims: 0 }),
    g.ReduceMean(g.Mul(centred, centred), { axes, keepdims: 0 }),
  ];
}
