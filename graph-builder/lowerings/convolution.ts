import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { fitSpatial, spatialAxes } from "../composites.ts";
import { productOf, sumOf } from "../dims.ts";
import type { Value } from "../ir.ts";
import { dimAt, staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { type Window, windowedDims, windowOf } from "../operators/windows.ts";
import type { Lower } from "./lower.ts";

/** A convolution Y = Conv(X, W) and the gradient dY of its output. */
export interface Convolution {
  readonly dY: Value;
  readonly X: Value;
  readonly W: Value;
  readonly group: number;
  readonly window: Window;
}

/** The number of images that is assumed where only a run tells it. */
const IMAGES = 32;

/** The number of images in a map X [N, C, ...], as far as a lowering can know it. */
export function imagesOf(X: Value): number {
  const [images] = X.shape;
  return typeof images === "number" ? images : IMAGES;
}

/**
 * A rule for ConvGrad that computes dW and dX by the given functions, where the spatial dimensions are known
 * when the graph is built.
 */
export function convGrad(
  weightGradient: (g: Builder, conv: Convolution) => Value,
  dX: (g: Builder, conv: Convolution) => Value = inputGradient,
): Lower<"ConvGrad"> {
  return (g, { I, attributes, isUsed }) => {
    const [dY, X, W] = [I(0), I(1), I(2)];
    const window = windowOf(kernelOf(W, attributes), attributes);
    const conv = { dY, X, W, group: attributes.group, window };
    const isKnown = [X, dY].every(({ shape }) => shape.slice(2).every((dim) => typeof dim === "number"));
    return [
      isUsed(0) ? (isKnown ? dX : inputGradientOfAnySize)(g, conv) : null,
      isUsed(1) ? (isKnown ? weightGradient : weightGradientOfAnySize)(g, conv) : null,
      isUsed(2) ? g.ReduceSum(dY, g.int64([0, ...spatialAxes(dY)]), { keepdims: 0 }) : null,
    ];
  };
}

/** dX = ConvTranspose(dY, W), with output_padding where the stride leaves the last pixels of X unread. */
export function inputGradient(g: Builder, { dY, X, W, group, window }: Convolution): Value {
  const { kernel, strides, dilations, pads } = window;
  const output_padding = kernel.map((size, i) => {
    const span = at(dilations, i) * (size - 1) + 1;
    const padding = at(pads, i) + at(pads, i + kernel.length);
    return staticDim(X.shape, i + 2) + padding - span - at(strides, i) * (staticDim(dY.shape, i + 2) - 1);
  });
  return g.ConvTranspose(dY, W, { kernel_shape: kernel, strides, dilations, pads, group, output_padding });
}

/** dX for spatial dimensions that are symbols: ConvTranspose(dY, W) without end pads, fitted to X. */
function inputGradientOfAnySize(g: Builder, { dY, X, W, group, window }: Convolution): Value {
  const { kernel, strides, dilations, pads } = window;
  const placed = g.ConvTranspose(dY, W, {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: withoutEnds(pads),
    group,
  });
  return fitSpatial(g, placed, X.shape.slice(2), () => g.Shape(X, { start: 2 }));
}

/**
 * dW for spatial dimensions that are symbols: the convolution of `textbookWeightGradient` over an X that ends
 * where the last place of the window ends.
 */
function weightGradientOfAnySize(g: Builder, { dY, X, W, group, window }: Convolution): Value {
  const { kernel, strides, dilations, pads } = window;
  const channels = staticDim(W.shape, 1);
  const spatial = spatialAxes(X);
  const swap = (value: Value) => g.Transpose(value, { perm: [1, 0, ...spatial] });
  const offsets = kernel.map((size, i) => at(dilations, i) * (size - 1) + 1 - at(pads, i) - at(strides, i));
  const dims = strides.map((stride, i) => sumOf(productOf([stride, dimAt(dY.shape, i + 2)]), at(offsets, i)));
  const read = fitSpatial(g, X, dims, () =>
    g.Add(g.Mul(g.Shape(dY, { start: 2 }), g.int64(strides)), g.int64(offsets)),
  );
  const grouped = () => {
    const sizes = g.Shape(read, { start: 2 });
    const split = g.Reshape(read, g.Concat(g.int64([0, group, channels]), sizes, { axis: 0 }));
    const channelFirst = g.Transpose(split, { perm: [2, 1, 0, ...spatial.map((axis) => axis + 1)] });
    return g.Reshape(channelFirst, g.Concat(g.int64([channels, -1]), sizes, { axis: 0 }));
  };
  const image = group === 1 ? swap(read) : grouped();
  const turned = { strides: dilations, dilations: strides, pads: withoutEnds(pads), group };
  return swap(g.Conv(image, swap(dY), null, turned));
}

function withoutEnds(pads: readonly number[]): number[] {
  return pads.map((pad, i) => (i < pads.length / 2 ? pad : 0));
}

/**
 * dW as a convolution of X with dY, where the batch and the channel axes are exchanged, and strides and
 * dilations: dW[m, c, k] = sum over n, p of X[n, c, s p + d k - pad] dY[n, m, p].
 */
export function textbookWeightGradient(g: Builder, { dY, X, W, group, window }: Convolution): Value {
  const { kernel, strides, dilations, pads } = window;
  const spatial = spatialAxes(X);
  const channels = staticDim(W.shape, 1);
  const swap = (value: Value) => g.Transpose(value, { perm: [1, 0, ...spatial] });
  const grouped = () => {
    const dims = spatial.map((axis) => staticDim(X.shape, axis));
    const split = g.Reshape(X, g.int64([0, group, channels, ...dims]));
    const channelFirst = g.Transpose(split, { perm: [2, 1, 0, ...spatial.map((axis) => axis + 1)] });
    return g.Reshape(channelFirst, g.int64([channels, -1, ...dims]));
  };
  const turned = {
    kernel: dY.shape.slice(2).map((_, i) => staticDim(dY.shape, i + 2)),
    strides: dilations,
    dilations: strides,
  };
  const endPads = trimmedEndPads(X, dY, window);
  const trimmed = [...pads.slice(0, kernel.length), ...endPads];
  const image = group === 1 ? swap(X) : grouped();
  const full = g.Conv(image, swap(dY), {
    kernel_shape: turned.kernel,
    strides: turned.strides,
    dilations: turned.dilations,
    pads: trimmed,
    group,
  });
  const sizes = windowedDims(X.shape.slice(2), { ...turned, pads: trimmed });
  return cropTo(g, swap(full), sizes, kernel);
}

/**
 * The end pads with which the convolution of `textbookWeightGradient` returns the kernel's size; 0 where they
 * would be negative, and the result is then larger (see `cropTo`).
 */
export function trimmedEndPads(X: Value, dY: Value, { kernel, strides, dilations, pads }: Window): number[] {
  return kernel.map((size, i) => {
    const span = at(strides, i) * (staticDim(dY.shape, i + 2) - 1) + 1 + at(dilations, i) * (size - 1);
    return Math.max(0, span - staticDim(X.shape, i + 2) - at(pads, i));
  });
}

/**
 * Removes the rows and columns of a dW that is larger than the kernel; they come from pixels that the forward
 * convolution did not read. `sizes` are the spatial dimensions of `full`.
 */
export function cropTo(g: Builder, full: Value, sizes: readonly unknown[], kernel: readonly number[]): Value {
  if (kernel.every((size, i) => size === sizes[i])) return full;
  const axes = kernel.map((_, i) => i + 2);
  return g.Slice(full, g.int64(kernel.map(() => 0)), g.int64(kernel), g.int64(axes));
}
