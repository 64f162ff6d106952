import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { type Window, windowedDims } from "../operators/windows.ts";
import { appendScan } from "../scan.ts";
import { tensorOf } from "../tensor.ts";
import { elementCount } from "../types.ts";
import { type Convolution, cropTo, inputGradient, trimmedEndPads } from "./convolution.ts";
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
 * dW of a depthwise convolution: every map of dY is the filter of the map of X, and the sum over the images
 * follows.
 */
export function depthwiseWeightGradient(g: Builder, conv: Convolution, B: number): Value {
  const { X, group, window } = conv;
  const { kernel } = window;
  const turned = turnedWindow(conv);
  const sizes = windowedDims(sidesOf(X), turned).map(Number);
  const taps = sizes.reduce((product, size) => product * size, 1);
  const images = X.shape[0];
  const sum =
    typeof images === "number"
      ? sumOfMaps(g, conv, { images, elements: group * taps })
      : sumInLoop(g, conv, [1, group, ...sizes]);
  const summed = g.Reshape(sum, g.int64([group / B, taps, B]));
  const unblocked = g.Reshape(g.Transpose(summed, { perm: [0, 2, 1] }), g.int64([group, 1, ...sizes]));
  return cropTo(g, unblocked, sizes, kernel);
}

function sidesOf(value: Value): number[] {
  return [staticDim(value.shape, 2), staticDim(value.shape, 3)];
}

/** The window of the convolution of X with dY: the strides and the dilations change places. */
function turnedWindow({ dY, X, window }: Convolution): Window {
  const { kernel, strides, dilations, pads } = window;
  return {
    kernel: sidesOf(dY),
    strides: dilations,
    dilations: strides,
    pads: [...pads.slice(0, kernel.length), ...trimmedEndPads(X, dY, window)],
  };
}

/** The convolution of maps of X, as the channels of one image, with as many maps of dY. */
function mapsByMaps(g: Builder, conv: Convolution, [X, dY]: readonly Value[], maps: number): Value {
  if (!X || !dY) throw new TypeError("a convolution has two factors");
  const { kernel, ...window } = turnedWindow(conv);
  return g.NchwcConv(
    g.Reshape(X, g.int64([1, maps, ...sidesOf(conv.X)])),
    g.Reshape(dY, g.int64([maps, 1, ...sidesOf(conv.dY)])),
    { kernel_shape: kernel, ...window, group: maps },
  );
}

/**
 * The sum where the number of images is known: the channels of all images are those of one. The blocks of
 * [N, C] are those of [1, N C], and a blocked dY is the blocked filter, so nothing is reordered.
 */
function sumOfMaps(
  g: Builder,
  conv: Convolution,
  { images, elements }: { readonly images: number; readonly elements: number },
): Value {
  const full = mapsByMaps(g, conv, [blocks(g, conv.X), blocks(g, conv.dY)], images * conv.group);
  return g.ReduceSum(g.Reshape(full, g.int64([images, elements])), g.int64([0]), { keepdims: 0 });
}

/**
 * The sum where only a run tells the number of images, which a Conv has as the attribute `group`: a loop over
 * the images.
 */
function sumInLoop(g: Builder, conv: Convolution, dims: readonly number[]): Value {
  const { states } = appendScan(g, {
    states: [g.constant(tensorOf("float", Array(elementCount(dims)).fill(0), dims))],
    sequences: [blocks(g, conv.X), blocks(g, conv.dY)],
    captured: [],
    step: (b, { states: [sum], elements }) => ({
      states: [b.Add(sum, mapsByMaps(b, conv, elements, conv.group))],
      made: [],
    }),
  });
  return states[0];
}
