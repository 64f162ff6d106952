import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { windowedDims } from "../operators/windows.ts";
import { type Convolution, cropTo, inputGradient, trimmedEndPads } from "./convolution.ts";
import { dilatedWeightGradient } from "./cpu.ts";
import { stridedInputGradient } from "./few-pixels.ts";

/** Converts X from [N, C, H, W] to the blocked layout; C must be a multiple of the block size. */
export function blocks(g: Builder, X: Value): Value {
  return g.ReorderInput(X);
}

/** Converts X from the blocked layout to [N, C, H, W]. */
export function plain(g: Builder, X: Value): Value {
  return g.ReorderOutput(X, { channels: staticDim(X.shape, 1) });
}

/** Whether the filters and channels of each group are multiples of the block size B. */
export function canConvolve(X: Value, W: Value, group: number, B: number): boolean {
  if (W.shape.length !== 4 || W.shape.some((dim) => typeof dim !== "number")) return false;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const isKnown = X.shape.length === 4 && X.shape.slice(2).every((dim) => typeof dim === "number");
  return (filters / group) % B === 0 && channels % B === 0 && isKnown;
}

/**
 * Weights [O, I, kh, kw] as [O/B, I/B, kh, kw, B (in), B (out)]: first the input channels of every filter in
 * blocks, then the filters. ReorderInput shares the work among the threads; Transpose starts them anew for
 * every small matrix.
 */
export function blockedWeights(g: Builder, W: Value, B: number): Value {
  const { filters, channels, kernel, taps } = weightDims(W);
  const byChannels = g.ReorderInput(g.Reshape(W, g.int64([filters, channels, taps, 1])));
  const outer = g.Reshape(byChannels, g.int64([filters / B, B, channels * taps, 1]));
  return g.Reshape(g.ReorderInput(outer), g.int64([filters, channels, ...kernel]));
}

/**
 * The weights for dX: blocked, rotated by 180 degrees, with input and output channels exchanged in each
 * group.
 */
function turnedWeights(g: Builder, W: Value, group: number, B: number): Value {
  const { filters, channels, kernel, taps } = weightDims(W);
  const pairs = (filters * channels) / B ** 2;
  const squares = g.Reshape(blockedWeights(g, W, B), g.int64([pairs * taps, B, B, 1]));
  const exchanged = g.Reshape(g.ReorderInput(squares), g.int64([pairs, taps, B * B]));
  const backwards = g.int64(Array.from({ length: taps }, (_, tap) => taps - 1 - tap));
  const turned = taps === 1 ? exchanged : g.Gather(exchanged, backwards, { axis: 1 });
  const perGroup = g.Reshape(turned, g.int64([group, filters / group / B, channels / B, taps * B * B]));
  const shape = g.int64([group * channels, filters / group, ...kernel]);
  return g.Reshape(g.Transpose(perGroup, { perm: [0, 2, 1, 3] }), shape);
}

function weightDims(W: Value) {
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const kernel = W.shape.slice(2).map((_, i) => staticDim(W.shape, i + 2));
  return { filters, channels, kernel, taps: kernel.reduce((product, size) => product * size, 1) };
}

/**
 * dX at stride 1: a blocked Conv of dY with W rotated by 180 degrees, and its filter and channel axes
 * exchanged.
 */
export function blockedInputGradient(g: Builder, conv: Convolution, B: number): Value {
  const { dY, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  const [filters, channels] = [staticDim(W.shape, 0) / group, staticDim(W.shape, 1)];
  const full = pads.map(
    (pad, i) => at(dilations, i % kernel.length) * (at(kernel, i % kernel.length) - 1) - pad,
  );
  const isWhole = filters % B === 0 && channels % B === 0;
  if (strides.some((stride) => stride !== 1)) return stridedInputGradient(g, conv);
  if (!isWhole || full.some((pad) => pad < 0)) return inputGradient(g, conv);
  const attributes = { kernel_shape: kernel, dilations, pads: full, group };
  return plain(g, g.NchwcConv(blocks(g, dY), turnedWeights(g, W, group, B), attributes));
}

/**
 * dW as one dilated convolution (see dilatedWeightGradient) over the blocks of X, [C / B, N, H, W B], in
 * blocks of B images. The last block is filled with zeros in X, so the numbers that fill it in dY have no
 * effect.
 */
export function blockedWeightGradient(g: Builder, conv: Convolution, B: number): Value {
  const { dY, X, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  if (group !== 1 || kernel.length !== 2 || dilations.some((dilation) => dilation !== 1)) {
    return dilatedWeightGradient(g, conv);
  }
  const [top, left] = [at(pads, 0), at(pads, 1)];
  const end = trimmedEndPads(X, dY, window);
  const [bottom, right] = [at(end, 0), at(end, 1)];
  const rows = wideRows(g, X, [left, right], B);
  const turned = {
    kernel: [staticDim(dY.shape, 2), staticDim(dY.shape, 3)],
    strides: [1, 1],
    dilations: [at(strides, 0), at(strides, 1) * B],
    pads: [top, 0, bottom, 0],
  };
  const full = g.NchwcConv(blocks(g, rows), imageWeights(g, dY, B), {
    kernel_shape: turned.kernel,
    dilations: turned.dilations,
    pads: turned.pads,
  });
  const sizes = windowedDims(rows.shape.slice(2), turned);
  const cropped = cropTo(g, plain(g, full), sizes, [at(kernel, 0), at(kernel, 1) * B]);
  const taps = at(kernel, 0) * at(kernel, 1);
  const perFilter = g.Reshape(cropped, g.int64([(channels / B) * filters, B, taps, 1]));
  const tapsLast = g.ReorderOutput(perFilter, { channels: B });
  const perBlock = g.Reshape(tapsLast, g.int64([channels / B, filters, B * taps]));
  const filtersFirst = channels === B ? perBlock : g.Transpose(perBlock, { perm: [1, 0, 2] });
  return g.Reshape(filtersFirst, g.int64([filters, channels, ...kernel]));
}

/**
 * X [N, C, H, W] as [C / B, N, H, (left + W + right) B], with N filled up to a multiple of B. The width is
 * padded here, because the blocked convolution is slow with pads along the width.
 */
function wideRows(g: Builder, X: Value, [left, right]: readonly [number, number], B: number): Value {
  const [channels, height] = [staticDim(X.shape, 1), staticDim(X.shape, 2)];
  const width = staticDim(X.shape, 3);
  const maps = g.Reshape(blocks(g, X), g.int64([0, channels / B, height * width * B]));
  const blocksFirst = channels === B ? maps : g.Transpose(maps, { perm: [1, 0, 2] });
  const rows = g.Reshape(blocksFirst, g.int64([channels / B, -1, height, width * B]));
  const missing = g.Reshape(g.Sub(filledCount(g, X, B), imageCount(g, X)), g.int64([1]));
  const before = g.int64([0, 0, 0, left * B, 0]);
  const pads = g.Concat(before, missing, g.int64([0, right * B]), { axis: 0 });
  const dims = [channels / B, -1, height, (left + width + right) * B];
  return g.Reshape(g.Pad(rows, pads), g.int64(dims));
}

/**
 * dY [N, M, H, W] as the blocked weights of a convolution over images: [M / B, N / B, H, W, B (images), B
 * (filters)]. The images of a block change places with the pixels, as blocks of channels do in channels last.
 */
function imageWeights(g: Builder, dY: Value, B: number): Value {
  const [filters, height] = [staticDim(dY.shape, 1), staticDim(dY.shape, 2)];
  const width = staticDim(dY.shape, 3);
  const maps = g.Reshape(blocks(g, dY), g.int64([-1, height * width * B]));
  const byBlock = g.Gather(maps, mapsByBlock(g, dY, filters / B, B));
  const grouped = g.Reshape(byBlock, g.int64([-1, B * B, height, width]));
  const inner = g.ReorderOutput(grouped, { channels: B * B, channels_last: 1 });
  return g.Reshape(inner, g.int64([filters, -1, height, width]));
}

/**
 * The indices of the maps [N, blocks] in the order [blocks, N]. The last image is repeated until the number
 * of images is a multiple of B.
 */
function mapsByBlock(g: Builder, X: Value, blockCount: number, B: number): Value {
  const last = g.Sub(imageCount(g, X), g.int64(1));
  const image = g.Min(g.Range(g.int64(0), filledCount(g, X, B), g.int64(1)), last);
  const first = g.Mul(image, g.int64(blockCount));
  const block = g.Unsqueeze(g.int64(Array.from({ length: blockCount }, (_, i) => i)), g.int64([1]));
  return g.Reshape(g.Add(first, block), g.int64([-1]));
}

function imageCount(g: Builder, X: Value): Value {
  return g.Gather(g.Shape(X), g.int64(0));
}

/** The number of images, rounded up to a multiple of B. */
function filledCount(g: Builder, X: Value, B: number): Value {
  const blockCount = g.Div(g.Add(imageCount(g, X), g.int64(B - 1)), g.int64(B));
  return g.Mul(blockCount, g.int64(B));
}
