import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { sameDim } from "../dims.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { dimAt, staticDim } from "../operators/inference.ts";
import type { Window } from "../operators/windows.ts";
import type { HalfType } from "../types.ts";
import { copyingWeights, first, last, pixelRows } from "./channels-last.ts";
import type { Convolution } from "./convolution.ts";

/**
 * From this many pixels an image on, a product of one image each is faster than one over all images (measured
 * on an H100).
 */
const MANY_PIXELS = 1024;

/** A window as the attributes of an operator. */
type WindowAttributes = Partial<Omit<Window, "kernel">> & { readonly kernel_shape: readonly number[] };

/**
 * A pointwise convolution that shifts the image, as [kh, kw] kernel with equal padding on both sides whose
 * first tap alone counts: the crop before it and the padding that is on one side alone are slow on CUDA.
 * `whole` is the image before the crop.
 */
export interface ShiftedPoint {
  readonly whole: Value;
  readonly window: Window;
}

/**
 * The convolution as a shifted point: where X is pointwise convolved with padding before it alone, and
 * perhaps was cropped at its end. Undefined for another convolution.
 */
export function shiftedPoint(
  X: Value,
  { kernel, strides, dilations, pads }: Window,
): ShiftedPoint | undefined {
  const rank = kernel.length;
  const before = pads.slice(0, rank);
  const isShift = pads.slice(rank).every((pad) => pad === 0) && before.some((pad) => pad > 0);
  if (rank !== 2 || !isShift || kernel.some((size) => size !== 1)) return undefined;
  const whole = beforeCrop(X) ?? X;
  const cropped = [2, 3].map((axis) => staticDim(whole.shape, axis) - staticDim(X.shape, axis));
  const extended = before.map((pad, i) => 1 + pad + at(cropped, i));
  return { whole, window: { kernel: extended, strides, dilations, pads: [...before, ...before] } };
}

/** The image that X was cropped from at the end of its rows and columns. */
function beforeCrop({ producer }: Value): Value | undefined {
  if (producer?.opType !== "Slice") return undefined;
  const [, starts, ends, axes, steps] = producer.inputs.map((input) => input?.constant?.numbers());
  const isCrop =
    axes?.join() === "2,3" && starts?.every((start) => start === 0) && ends?.every((end) => end < 0);
  return isCrop && (steps?.every((step) => step === 1) ?? true) ? producer.input(0) : undefined;
}

/** The weights [M, C, 1, 1] as the first tap of a larger kernel. */
export function firstTap(g: Builder, W: Value, { kernel: [height = 1, width = 1] }: Window): Value {
  return padded(g, W, [0, 0, 0, 0, 0, 0, height - 1, width - 1]);
}

/** X with zeros around it, as float where it is bfloat16, for which CUDA has no Pad. */
export function padded(g: Builder, X: Value, pads: readonly number[]): Value {
  return inWideType(g, [X], (wide) => g.Pad(at(wide, 0), g.int64(pads)));
}

/**
 * A convolution over channels last. That of bfloat16 is ai.onnx's, of opset 22: the channels-last one takes
 * no bfloat16.
 */
export function convolutionLast(g: Builder, X: Value, W: Value, attributes: WindowAttributes): Value {
  if (X.elemType !== "bfloat16") return g.NhwcConv(X, W, attributes);
  return last(g, g.Conv(first(g, X), W, attributes));
}

/** ConvTranspose over channels last, in float where the values are bfloat16, for which CUDA has none. */
function transposedLast(
  g: Builder,
  G: Value,
  W: Value,
  attributes: WindowAttributes & { readonly output_padding?: readonly number[] },
): Value {
  return inWideType(g, [G, W], (wide) => g.NhwcConvTranspose(at(wide, 0), at(wide, 1), attributes));
}

/** The values as floats where they are bfloat16, and what is made of them in bfloat16 again. */
function inWideType(g: Builder, values: readonly Value[], make: (wide: readonly Value[]) => Value): Value {
  if (!values.some(({ elemType }) => elemType === "bfloat16")) return make(values);
  return castTo(g, make(values.map((value) => castTo(g, value, "float"))), "bfloat16");
}

/** Whether CUDA's channels-last convolutions do it: two spatial axes, one group, weights of known size. */
export function suitsChannelsLast(X: Value, W: Value, group: number): boolean {
  const isKnown = [...X.shape.slice(2), ...W.shape].every((dim) => typeof dim === "number");
  return X.shape.length === 4 && group === 1 && isKnown;
}

/**
 * A gradient as it arrives: dY = scale * G, per channel. What only scales channels can be done to the weights
 * instead.
 */
export interface ScaledGradient {
  /** [N, H, W, M] */
  readonly G: Value;
  /** [M], or undefined for 1 */
  readonly scale: Value | undefined;
}

/** dY [N, M, H, W] without the factor per channel that it was multiplied by last. */
export function scaledGradient(g: Builder, dY: Value): ScaledGradient {
  const G = last(g, dY);
  const node = G.producer;
  if (node?.opType !== "Mul" || node.input(1).shape.length !== 1) return { G, scale: undefined };
  const [value, scale] = [node.input(0), node.input(1)];
  const isPerChannel = value.shape.length === 4 && sameDim(dimAt(scale.shape, 0), dimAt(value.shape, 3));
  return isPerChannel ? { G: value, scale } : { G, scale: undefined };
}

/**
 * dX by ConvTranspose over channels last. Where the padding differs between the sides, which the kernel
 * refuses, dX is made without padding, and cut or filled to size.
 */
export function channelsLastInputGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, window } = conv;
  const { G, scale } = scaledGradient(g, dY);
  const scaled = scale ? g.Mul(W, g.Reshape(scale, g.int64([-1, 1, 1, 1]))) : W;
  const point = shiftedPoint(X, window);
  if (point) {
    const dX = channelsLastInputGradient(g, {
      ...conv,
      dY: first(g, G),
      X: point.whole,
      W: firstTap(g, scaled, point.window),
      window: point.window,
    });
    return point.whole === X ? dX : g.Slice(dX, g.int64([0, 0]), g.int64(ends(X)), g.int64([2, 3]));
  }
  const { kernel, strides, dilations, pads } = window;
  const weights = scaled;
  const isEven = kernel.every((_, i) => pads[i] === pads[i + kernel.length]);
  const attributes = { kernel_shape: kernel, strides, dilations };
  if (isEven) {
    const output_padding = kernel.map((_, i) => missing(conv, i));
    return first(g, transposedLast(g, G, weights, { ...attributes, pads, output_padding }));
  }
  const whole = transposedLast(g, G, weights, attributes);
  const before = kernel.map((_, i) => -at(pads, i));
  const after = kernel.map(
    (_, i) => staticDim(X.shape, i + 2) - staticDim(whole.shape, i + 1) - at(before, i),
  );
  return first(g, padded(g, whole, [0, ...before, 0, 0, ...after, 0]));
}

function ends(X: Value): number[] {
  return [2, 3].map((axis) => staticDim(X.shape, axis));
}

/** The rows or columns at the end of X that the window never reached. */
function missing({ dY, X, window }: Convolution, axis: number): number {
  const { kernel, strides, dilations, pads } = window;
  const span = at(dilations, axis) * (at(kernel, axis) - 1) + 1;
  const padding = at(pads, axis) + at(pads, axis + kernel.length);
  const reach = at(strides, axis) * (staticDim(dY.shape, axis + 2) - 1) + span;
  return staticDim(X.shape, axis + 2) + padding - reach;
}

/**
 * dW as a product of matrices over the pixels, with shifted copies side by side as channels; a convolution
 * with ones for weights makes the copies, which is exact, and faster than Slice, Pad and Concat. At stride 1,
 * X is copied along the width and dY along the height, so that one product of [kw C] by [kh M] holds all
 * taps; else X is copied for every tap.
 */
export function channelsLastWeightGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, window } = conv;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const [height, width] = [at(window.kernel, 0), at(window.kernel, 1)];
  const { G, scale } = scaledGradient(g, dY);
  const point = shiftedPoint(X, window);
  if (point) {
    const { kernel, strides, dilations, pads } = point.window;
    const weights = copyingWeights(g, X, channels, [at(kernel, 0), at(kernel, 1)], [[0, 0]]);
    const read = convolutionLast(g, last(g, point.whole), weights, {
      kernel_shape: kernel,
      strides,
      dilations,
      pads,
    });
    const product = g.Transpose(pixelProduct(g, read, G), { perm: [1, 0] });
    const dW = g.Reshape(product, g.int64([filters, channels, 1, 1]));
    return scale ? g.Mul(dW, g.Reshape(scale, g.int64([-1, 1, 1, 1]))) : dW;
  }
  const crossed = crossedCopies(g, { X: last(g, X), G, window, channels, filters });
  const taps = crossed ? [width, channels, height, filters] : [height, width, channels, filters];
  const product = crossed
    ? pixelProduct(g, crossed.X, crossed.G)
    : pixelProduct(g, copies(g, last(g, X), channels, window), G);
  const unfolded = g.Reshape(product, g.int64(taps));
  const turned = g.Transpose(unfolded, { perm: crossed ? [3, 1, 2, 0] : [3, 2, 0, 1] });
  if (!scale) return turned;
  const factor = g.Reshape(scale, g.int64([-1, 1, 1, 1]));
  return g.Mul(turned, factor);
}

/** The pixels under every tap of a window side by side: [N, Ho, Wo, kh kw C]. */
function copies(g: Builder, X: Value, channels: number, { kernel, strides, dilations, pads }: Window): Value {
  const [height, width] = [at(kernel, 0), at(kernel, 1)];
  const isWhole = [...strides, height, width].every((size) => size === 1) && pads.every((pad) => pad === 0);
  if (isWhole) return X;
  const taps = Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width] as const);
  const weights = copyingWeights(g, X, channels, [height, width], taps);
  return convolutionLast(g, X, weights, { kernel_shape: kernel, strides, dilations, pads });
}

/**
 * X copied along the width [N, H, Wo, kw C] and dY along the height [N, H, Wo, kh M]. Undefined where the
 * stride is not 1 or a padding would be negative.
 */
function crossedCopies(
  g: Builder,
  {
    X,
    G,
    window: { kernel, strides, dilations, pads },
    channels,
    filters,
  }: { X: Value; G: Value; window: Window; channels: number; filters: number },
): { X: Value; G: Value } | undefined {
  const [height = 1, width = 1] = kernel;
  const [down = 1, across = 1] = dilations;
  const [top = 0, left = 0, , right = 0] = pads;
  const before = down * (height - 1) - top;
  const after = staticDim(X.shape, 1) - staticDim(G.shape, 1) + top;
  if (strides.some((stride) => stride !== 1) || before < 0 || after < 0 || height * width === 1)
    return undefined;
  const row = Array.from({ length: width }, (_, i) => [0, i] as const);
  const column = Array.from({ length: height }, (_, i) => [height - 1 - i, 0] as const);
  return {
    X: convolutionLast(g, X, copyingWeights(g, X, channels, [1, width], row), {
      kernel_shape: [1, width],
      dilations: [1, across],
      pads: [0, left, 0, right],
    }),
    G: convolutionLast(g, G, copyingWeights(g, G, filters, [height, 1], column), {
      kernel_shape: [height, 1],
      dilations: [down, 1],
      pads: [before, 0, after, 0],
    }),
  };
}

/** The sum over all pixels of the products of A's and B's channels, [A's, B's] in A's element type. */
function pixelProduct(g: Builder, A: Value, B: Value): Value {
  const pixels = staticDim(A.shape, 1) * staticDim(A.shape, 2);
  if (pixels < MANY_PIXELS) return g.FusedMatMul(pixelRows(g, A), pixelRows(g, B), { transA: 1 });
  const perImage = (X: Value) => g.Reshape(X, g.int64([0, pixels, staticDim(X.shape, 3)]));
  const products = g.FusedMatMul(perImage(A), perImage(B), { transA: 1 });
  return g.ReduceSum(products, g.int64([0]), { keepdims: 0 });
}

/** A value in another floating-point type; as it is where it has that type. */
export function castTo(g: Builder, value: Value, elemType: "float" | HalfType): Value {
  return value.elemType === elemType ? value : g.Cast(value, { to: dataTypeNumbers[elemType] });
}
