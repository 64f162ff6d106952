import type { Builder } from "../builder.ts";
import { elementsOver } from "../composites.ts";
import { isOp, type Value } from "../ir.ts";
import { dataTypeOf } from "../operators/elementwise.ts";
import type { OpType } from "../operators/index.ts";
import { normalAxis, staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { type Window, windowOf } from "../operators/windows.ts";
import { type HalfType, isHalfType } from "../types.ts";
import { constantLike, first, last, madeLast, pixelRows } from "./channels-last.ts";
import { convGrad, textbookWeightGradient } from "./convolution.ts";
import {
  castTo,
  channelsLastInputGradient,
  channelsLastWeightGradient,
  convolutionLast,
  firstTap,
  padded,
  scaledGradient,
  shiftedPoint,
  suitsChannelsLast,
} from "./cuda-convolution.ts";
import type { Call, Lower, Lowering } from "./lower.ts";
import { isNormalized, runningStatistics } from "./normalization.ts";

/**
 * How far sums over pixels are scaled down in float16, which ends at 65504. Sums of bfloat16, which has too
 * few digits for them, are made in float32.
 */
const SUM_SCALE = 1 / 32;
const SQUARE_SCALE = 1 / 64;

/**
 * The forms that are fast on ONNX Runtime's CUDA provider (measured on an H100): convolutions over channels
 * last, which tensor cores take as they are; weight gradients as products of matrices; sums per channel as
 * products of matrices in float16, whose reductions are slow there; and batch normalisation by few
 * elementwise kernels. Each operator turns its inputs into channels last and its outputs back, and what
 * cancels out is dropped.
 */
export const cuda: Lowering = {
  Cast: (_, { I, attributes: { to } }) => {
    const whole = halfBehind(I(0));
    return whole && dataTypeOf(to) === whole.elemType ? [whole] : undefined;
  },

  Conv: (g, { I, optional, attributes }) => {
    const [X, W] = [I(0), I(1)];
    if (!suitsChannelsLast(X, W, attributes.group)) return undefined;
    const bias = optional(2);
    const window = windowOf(kernelOf(W, attributes), attributes);
    const point = shiftedPoint(X, window);
    const Y = point
      ? convolutionLast(g, last(g, point.whole), firstTap(g, W, point.window), attributesOf(point.window))
      : convolutionLast(g, ...evenlyPadded(g, last(g, X), W, window));
    return [first(g, bias ? g.Add(Y, bias) : Y)];
  },
  ConvGrad: (g, call) => {
    const { I, attributes, isUsed } = call;
    if (!suitsChannelsLast(I(1), I(2), attributes.group)) return inFloat(g, call);
    const [dX, dW] = convGrad(channelsLastWeightGradient, channelsLastInputGradient)(g, {
      ...call,
      isUsed: (output) => output < 2 && isUsed(output),
    }) ?? [null, null];
    if (!isUsed(2)) return [dX ?? null, dW ?? null, null];
    const { G, scale } = scaledGradient(g, I(0));
    const sum = channelSum(g, G);
    return [
      dX ?? null,
      dW ?? null,
      castTo(g, scale ? g.Mul(sum, castTo(g, scale, "float")) : sum, floatOf(I(0))),
    ];
  },

  BatchNormInternal: (g, call) => {
    const { I, node, attributes } = call;
    const X = halfBehind(I(0)) ?? I(0);
    if (X.shape.length !== 4) return undefined;
    const rows = last(g, X);
    const { mean, meanSquare } = moments(g, rows);
    const variance = isNormalized(node.input(0))
      ? g.Relu(g.Sub(meanSquare, g.Mul(mean, mean)))
      : moments(g, g.Sub(rows, castTo(g, mean, floatOf(X)))).meanSquare;
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(attributes.epsilon))));
    const gain = g.Mul(I(1), invStd);
    const shift = g.Sub(I(2), g.Mul(mean, gain));
    const scaled = g.Mul(rows, castTo(g, gain, floatOf(X)));
    const Y = first(g, g.Add(scaled, castTo(g, shift, floatOf(X))));
    const running = runningStatistics(g, [I(3), I(4)], [mean, variance], attributes.momentum);
    return [castTo(g, Y, floatOf(I(0))), ...running, mean, invStd];
  },
  // dX = a (dY + b X + c) with a = scale invStd, b = -invStd dScale / M, c = -dB / M - b mean. What reads dX
  // may leave a to weights.
  BatchNormalizationGrad: (g, call) => {
    const { I, isUsed } = call;
    const [dY, X] = [halfBehind(I(0)) ?? I(0), halfBehind(I(1)) ?? I(1)];
    if (X.shape.length !== 4) return undefined;
    const [scale, mean, invStd] = [I(2), I(3), I(4)];
    const type = floatOf(X);
    const [gradient, image] = [last(g, castTo(g, dY, type)), last(g, X)];
    const dBias = channelSum(g, gradient);
    const dScale = g.Mul(invStd, g.Sub(productSum(g, gradient, image), g.Mul(mean, dBias)));
    if (!isUsed(0)) return [null, dScale, dBias];
    const perPixel = g.Div(g.float(-1), elementsOver(g, image, [0, 1, 2], "float"));
    const b = g.Mul(g.Mul(invStd, dScale), perPixel);
    const c = g.Sub(g.Mul(dBias, perPixel), g.Mul(b, mean));
    const sum = g.BiasDropout(g.Mul(image, castTo(g, b, type)), castTo(g, c, type), gradient)[0];
    const dX = g.Mul(sum, castTo(g, g.Mul(scale, invStd), type));
    return [castTo(g, first(g, dX), floatOf(I(1))), dScale, dBias];
  },
  BatchNormalization: (g, { I, attributes: { epsilon, training_mode } }) => {
    const X = halfBehind(I(0)) ?? I(0);
    if (training_mode || X.shape.length !== 4) return undefined;
    const gain = g.Div(I(1), g.Sqrt(g.Add(I(4), g.float(epsilon))));
    const shift = g.Sub(I(2), g.Mul(I(3), gain));
    const scaled = g.Mul(last(g, X), castTo(g, gain, floatOf(X)));
    return [castTo(g, first(g, g.Add(scaled, castTo(g, shift, floatOf(X)))), floatOf(I(0)))];
  },

  Relu: when(
    ({ I }) => isLast(I(0)),
    (g, { I }) => [first(g, g.Relu(last(g, I(0))))],
  ),
  // Y is never negative, so that its sign is 0 or 1
  ReluGrad: (g, { I }) => {
    if (I(1).shape.length !== 4 || !isLast(I(1))) return [g.Mul(I(0), g.Sign(I(1)))];
    return [first(g, g.Mul(last(g, I(0)), g.Sign(last(g, I(1)))))];
  },
  Add: when(
    ({ I }) => sameShapes([I(0), I(1)]) && (isLast(I(0)) || isLast(I(1))),
    (g, { I }) => [first(g, g.Add(last(g, I(0)), last(g, I(1))))],
  ),
  Sum: when(
    (call) => sameShapes(inputs(call)) && inputs(call).some(isLast),
    (g, call) => [first(g, g.Sum(...inputs(call).map((value) => last(g, value))))],
  ),
  Concat: when(
    (call) => isChannelAxis(call.attributes.axis, call) && inputs(call).every(isLast),
    (g, call) => [first(g, g.Concat(...inputs(call).map((value) => last(g, value)), { axis: 3 }))],
  ),
  Split: when(
    (call) => isChannelAxis(call.attributes.axis, call) && isLast(call.I(0)),
    (g, { I }) => g.Split(last(g, I(0)), I(1), { axis: 3 }).map((part) => first(g, part)),
  ),
  // the rows and columns beyond a crop got no gradient: what was cut off is zero
  SliceGrad: (_, { I, node }) => {
    const crop = I(0).producer;
    const isCut = crop?.opType === "Slice" && isShiftedPointGradient(node.input(0));
    return isCut && crop ? [crop.input(0)] : undefined;
  },
  GlobalAveragePool: when(
    ({ I }) => isLast(I(0)),
    (g, { I }) => {
      const means = g.ReduceMean(last(g, I(0)), { axes: [1, 2], keepdims: 1 });
      return [first(g, means)];
    },
  ),
  // a number for each image, or one for all, is the same in both layouts
  Mul: when(
    ({ I }) => [I(0), I(1)].some(isLast) && [I(0), I(1)].some(isPerImage),
    (g, { I }) => {
      const [a, b] = [I(0), I(1)].map((value) => (isPerImage(value) ? value : last(g, value)));
      return a && b && [first(g, g.Mul(a, b))];
    },
  ),
};

/**
 * Whether a gradient is dX of a pointwise convolution over a cropped image, in the graph before the lowering.
 */
function isShiftedPointGradient({ producer }: Value): boolean {
  if (!isOp(producer, "ConvGrad")) return false;
  const { attributes } = producer;
  const [X, W] = [producer.input(1), producer.input(2)];
  const point = shiftedPoint(X, windowOf(kernelOf(W, attributes), attributes));
  return point !== undefined && point.whole !== X;
}

function attributesOf({ kernel, strides, dilations, pads }: Window) {
  return { kernel_shape: kernel, strides, dilations, pads };
}

/**
 * The arguments of a convolution whose padding is the same on both sides, which is what cuDNN knows: other
 * padding becomes a Pad before it.
 */
function evenlyPadded(g: Builder, X: Value, W: Value, window: Window) {
  const { kernel, pads } = window;
  const rank = kernel.length;
  if (kernel.every((_, i) => pads[i] === pads[i + rank])) return [X, W, attributesOf(window)] as const;
  const even = padded(g, X, [0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank), 0]);
  return [even, W, attributesOf({ ...window, pads: pads.map(() => 0) })] as const;
}

function when<K extends OpType>(suits: (call: Call<K>) => boolean, lower: Lower<K>): Lower<K> {
  return (g, call) => (suits(call) ? lower(g, call) : undefined);
}

function inputs<K extends OpType>({ node, I }: Pick<Call<K>, "node" | "I">): Value[] {
  return node.inputs.map((_, i) => I(i));
}

function isLast(X: Value): boolean {
  return X.shape.length === 4 && madeLast(X) !== undefined;
}

function sameShapes(values: readonly Value[]): boolean {
  return values.every(({ shape }) => shape.length === 4 && shape.join() === values[0]?.shape.join());
}

function isChannelAxis(axis: number, { I }: Pick<Call<OpType>, "I">): boolean {
  const rank = I(0).shape.length;
  return rank === 4 && normalAxis(axis, rank) === 1;
}

/**
 * The gradients of a convolution of bfloat16 in float32, since CUDA has no ConvTranspose of bfloat16;
 * undefined for other types.
 */
function inFloat(g: Builder, call: Call<"ConvGrad">): ReturnType<Lower<"ConvGrad">> {
  const type = floatOf(call.I(0));
  if (type !== "bfloat16") return undefined;
  const I = (index: number) => castTo(g, call.I(index), "float");
  const gradients = convGrad(textbookWeightGradient)(g, { ...call, I });
  return gradients?.map((gradient) => gradient && castTo(g, gradient, type));
}

/** The value of 16 bits that was cast to this float one. */
function halfBehind({ producer, elemType }: Value): Value | undefined {
  if (!isOp(producer, "Cast") || elemType !== "float") return undefined;
  const input = producer.input(0);
  return isHalfType(input.elemType) ? input : undefined;
}

function floatOf({ elemType }: Value): "float" | HalfType {
  return isHalfType(elemType) ? elemType : "float";
}

/** Whether a value is one number an image, or one for all. */
function isPerImage({ shape }: Value): boolean {
  return shape.length === 0 || (shape.length === 4 && shape.slice(1).every((dim) => dim === 1));
}

/** The mean of each channel of X [N, H, W, C], and of its square: float [C]. */
function moments(g: Builder, X: Value): { mean: Value; meanSquare: Value } {
  if (X.elemType !== "float16") {
    const wide = castTo(g, X, "float");
    const mean = (value: Value) => g.ReduceMean(value, { axes: [0, 1, 2], keepdims: 0 });
    return { mean: mean(wide), meanSquare: mean(g.Mul(wide, wide)) };
  }
  const pixels = staticDim(X.shape, 1) * staticDim(X.shape, 2);
  const images = elementsOver(g, X, [0]);
  const perImage = g.Div(g.float(1), images);
  const perSquare = g.Div(g.float(1 / SQUARE_SCALE), images);
  return {
    mean: g.Mul(sumOfRows(g, X, 1 / pixels), perImage),
    meanSquare: g.Mul(diagonalProduct(g, X, X, SQUARE_SCALE / pixels), perSquare),
  };
}

/** The sum of each channel of X [N, H, W, C]: float [C]. */
function channelSum(g: Builder, X: Value): Value {
  if (X.elemType !== "float16")
    return g.ReduceSum(castTo(g, X, "float"), g.int64([0, 1, 2]), { keepdims: 0 });
  return g.Mul(sumOfRows(g, X, SUM_SCALE), g.float(1 / SUM_SCALE));
}

/** The sum of each channel of X Y [N, H, W, C]: float [C]. */
function productSum(g: Builder, X: Value, Y: Value): Value {
  if (X.elemType !== "float16") return channelSum(g, g.Mul(castTo(g, X, "float"), castTo(g, Y, "float")));
  return g.Mul(diagonalProduct(g, X, Y, SUM_SCALE), g.float(1 / SUM_SCALE));
}

/** alpha times the sum over all pixels, as a product with a row of ones. */
function sumOfRows(g: Builder, X: Value, alpha: number): Value {
  const rows = pixelRows(g, X);
  const count = g.Gather(g.Shape(rows), g.int64([0]));
  const ones = g.Expand(constantLike(g, X, [1]), g.Concat(g.int64([1]), count, { axis: 0 }));
  const sum = g.Reshape(g.FusedMatMul(ones, rows, { alpha }), g.int64([staticDim(X.shape, 3)]));
  return castTo(g, sum, "float");
}

/**
 * alpha times the sum over all pixels of X Y: the diagonal of a product of matrices, which reads both once.
 */
function diagonalProduct(g: Builder, X: Value, Y: Value, alpha: number): Value {
  const channels = staticDim(X.shape, 3);
  const all = g.FusedMatMul(pixelRows(g, X), pixelRows(g, Y), { transA: 1, alpha });
  const places = g.int64(Array.from({ length: channels }, (_, i) => i * (channels + 1)));
  return castTo(g, g.Gather(g.Reshape(all, g.int64([-1])), places), "float");
}
