import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { windowedDims } from "../operators/windows.ts";
import { type Convolution, cropTo, inputGradient, trimmedEndPads } from "./convolution.ts";
import { dilatedWeightGradient } from "./cpu.ts";
import { blocks, plain } from "./nchwc-convolution.ts";

/** Whether every channel has one filter of its own, and the channels are a multiple of the block size B. */
export function isDepthwise(X: Value, W: Value, group: number, B: number): boolean {
  if (W.shape.length !== 4 || W.shape.some((dim) => typeof dim !== "number")) return false;
  const isKnown = X.shape.length === 4 && X.shape.slice(1).every((dim) => typeof dim === "number");
  return isKnown && group > 1 && group % B === 0 && W.shape[0] === group && W.shape[1] === 1;
}

/** Weights [C, 1, kh, kw] of a depthwise convolution as [C / B, kh, kw, B]. */
export function depthwiseWeights(g: Builder, W: Value, B: number): Value {
  return g.Reshape(tapsFirst(g, W, B), g.int64(W.shape.map((_, axis) => staticDim(W.shape, axis))));
}

/** Weights [C, 1, kh, kw] as [C / B, kh kw, B]. */
function tapsFirst(g: Builder, W: Value, B: number): Value {
  const blocked = g.Reshape(W, g.int64([staticDim(W.shape, 0) / B, B, -1]));
  return g.Transpose(blocked, { perm: [0, 2, 1] });
}

/**
 * dX of a depthwise convolution: a depthwise convolution of dY, with zeros between its pixels for a stride,
 * with W rotated by 180 degrees.
 */
export function depthwiseInputGradient(g: Builder, conv: Convolution, B: number): Value {
  const { dY, X, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  const begin = kernel.map((size, i) => at(dilations, i) * (size - 1) - at(pads, i));
  const end = kernel.map((_, i) => {
    const written = at(strides, i) * staticDim(dY.shape, i + 2);
    return staticDim(X.shape, i + 2) - written + at(pads, i);
  });
  if ([...begin, ...end].some((pad) => pad < 0)) return inputGradient(g, conv);
  const taps = kernel.reduce((product, size) => product * size, 1);
  const backwards = g.int64(Array.from({ length: taps }, (_, tap) => taps - 1 - tap));
  const turned = g.Gather(tapsFirst(g, W, B), backwards, { axis: 1 });
  const weights = g.Reshape(turned, g.int64([group, 1, ...kernel]));
  const pixels = withZerosBetween(g, blocks(g, dY), strides, B);
  return plain(
    g,
    g.NchwcConv(pixels, weights, { kernel_shape: kernel, dilations, pads: [...begin, ...end], group }),
  );
}

/** A blocked dY [N, C, H, W] with zeros behind each of its pixels: [N, C, H strides, W strides]. */
function withZerosBetween(g: Builder, dY: Value, strides: readonly number[], B: number): Value {
  const [down, across] = [at(strides, 0), at(strides, 1)];
  if (down === 1 && across === 1) return dY;
  const [height, width] = [staticDim(dY.shape, 2), staticDim(dY.shape, 3)];
  const pixels = g.Reshape(dY, g.int64([-1, B]));
  const wide = g.Pad(pixels, g.int64([0, 0, 0, (across - 1) * B]));
  const rows = g.Reshape(wide, g.int64([-1, width * across * B]));
  const high = g.Pad(rows, g.int64([0, 0, 0, (down - 1) * width * across * B]));
  return g.Reshape(high, g.int64([-1, staticDim(dY.shape, 1), height * down, width * across]));
}

/**
 * dW of a depthwise convolution: every map of dY is the filter of the map of X, as if the channels of all
 * images were the channels of one; the sum over the images follows. The blocks of [N, C] are those of
 * [1, N C], and a blocked dY is the blocked filter, so nothing is reordered. The number of images must be
 * known.
 */
export function depthwiseWeightGradient(g: Builder, conv: Convolution, B: number): Value {
  const { dY, X, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  const images = X.shape[0];
  if (typeof images !== "number") return dilatedWeightGradient(g, conv);
  const maps = images * group;
  const sides = (value: Value) => [staticDim(value.shape, 2), staticDim(value.shape, 3)];
  const turned = {
    kernel: sides(dY),
    strides: dilations,
    dilations: strides,
    pads: [...pads.slice(0, kernel.length), ...trimmedEndPads(X, dY, window)],
  };
  const full = g.NchwcConv(
    g.Reshape(blocks(g, X), g.int64([1, maps, ...sides(X)])),
    g.Reshape(blocks(g, dY), g.int64([maps, 1, ...sides(dY)])),
    {
      kernel_shape: turned.kernel,
      strides: turned.strides,
      dilations: turned.dilations,
      pads: turned.pads,
      group: maps,
    },
  );
  const sizes = windowedDims(sides(X), turned);
  const taps = sizes.reduce<number>((product, size) => product * Number(size), 1);
  const perImage = g.Reshape(full, g.int64([images, (group / B) * taps * B]));
  const summed = g.Reshape(
    g.ReduceSum(perImage, g.int64([0]), { keepdims: 0 }),
    g.int64([group / B, taps, B]),
  );
  const unblocked = g.Reshape(
    g.Transpose(summed, { perm: [0, 2, 1] }),
    g.int64([group, 1, ...sizes.map(Number)]),
  );
  return cropTo(g, unblocked, sizes, kernel);
}
