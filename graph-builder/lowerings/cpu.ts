import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { spatialAxes } from "../composites.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { windowedDims } from "../operators/windows.ts";
import { affineNormalization } from "./affine-normalization.ts";
import {
  type Convolution,
  convGrad,
  cropTo,
  inputGradient,
  textbookWeightGradient,
  trimmedEndPads,
} from "./convolution.ts";
import {
  productConv,
  productInputGradient,
  productWeightGradient,
  stridedInputGradient,
  suitsProducts,
} from "./few-pixels.ts";
import type { Lowering } from "./lower.ts";
import { suitsWinograd, winogradConv, winogradInputGradient, winogradWeightGradient } from "./winograd.ts";

/**
 * A layer over `portable`: forms that ONNX Runtime's CPU kernels compute faster, also in ai.onnx operators.
 */
export const cpu: Lowering = {
  Conv: (g, call) => productConv(g, call) ?? winogradConv()(g, call),
  ConvGrad: convGrad(
    (g, conv) => {
      if (suitsProducts(conv)) return productWeightGradient(g, conv);
      return (suitsWinograd(conv) ? winogradWeightGradient : dilatedWeightGradient)(g, conv);
    },
    (g, conv) => {
      if (suitsProducts(conv)) return productInputGradient(g, conv);
      return (suitsWinograd(conv) ? winogradInputGradient : rotatedInputGradient)(g, conv);
    },
  ),

  ...affineNormalization,

  // dY * (Y > 0), where HardSigmoid = clip(1e30 Y, 0, 1): Greater and Where take three times as long, but are
  // there for double too
  ReluGrad: (g, { I }) =>
    I(1).elemType === "double" ? undefined : [g.Mul(I(0), g.HardSigmoid(I(1), { alpha: 1e30, beta: 0 }))],
};

/** dX at stride 1: a Conv of dY with W rotated by 180 degrees, and its filter and channel axes exchanged. */
function rotatedInputGradient(g: Builder, conv: Convolution): Value {
  const { dY, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  if (strides.some((stride) => stride !== 1)) return stridedInputGradient(g, conv);
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const spatial = spatialAxes(W);
  const turned = kernel.every((size) => size === 1)
    ? W
    : g.Slice(
        W,
        g.int64(kernel.map(() => -1)),
        g.int64(kernel.map((size) => -size - 1)),
        g.int64(spatial),
        g.int64(kernel.map(() => -1)),
      );
  const grouped = g.Reshape(turned, g.int64([group, filters / group, channels, ...kernel]));
  const exchanged = g.Transpose(grouped, { perm: [0, 2, 1, ...spatial.map((axis) => axis + 1)] });
  const weights = g.Reshape(exchanged, g.int64([group * channels, filters / group, ...kernel]));
  const full = pads.map(
    (pad, i) => at(dilations, i % kernel.length) * (at(kernel, i % kernel.length) - 1) - pad,
  );
  if (full.some((pad) => pad < 0)) return inputGradient(g, conv);
  return g.Conv(dY, weights, { kernel_shape: kernel, dilations, pads: full, group });
}

/**
 * dW as one dilated convolution over X in the shape [1, N, H, W C]: the images are the channels, the channels
 * of a pixel lie next to each other along the width, dY is the kernel, and the strides become the dilations.
 */
export function dilatedWeightGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, group, window } = conv;
  const { kernel, strides, dilations, pads } = window;
  if (kernel.length !== 2 || dilations.some((dilation) => dilation !== 1))
    return textbookWeightGradient(g, conv);
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const [height, width] = [staticDim(X.shape, 2), staticDim(X.shape, 3)];
  const end = trimmedEndPads(X, dY, window);
  const images = group === 1 ? X : groupFirst(g, X, group, channels);
  const channelsLast = g.Transpose(images, { perm: [0, 2, 3, 1] });
  const rows = g.Reshape(channelsLast, g.int64([1, -1, height, width * channels]));
  const turned = {
    kernel: [staticDim(dY.shape, 2), staticDim(dY.shape, 3)],
    strides: [1, 1],
    dilations: [at(strides, 0), at(strides, 1) * channels],
    pads: [at(pads, 0), at(pads, 1) * channels, at(end, 0), at(end, 1) * channels],
  };
  const full = g.Conv(rows, g.Transpose(dY, { perm: [1, 0, 2, 3] }), {
    kernel_shape: turned.kernel,
    dilations: turned.dilations,
    pads: turned.pads,
    group,
  });
  const sizes = windowedDims([height, width * channels], turned);
  const cropped = cropTo(g, full, sizes, [at(kernel, 0), at(kernel, 1) * channels]);
  const unfolded = g.Reshape(cropped, g.int64([filters, ...kernel, channels]));
  return g.Transpose(unfolded, { perm: [0, 3, 1, 2] });
}

/** Moves the groups from the channels to the batch: [N, group C, H, W] to [group N, C, H, W]. */
function groupFirst(g: Builder, X: Value, group: number, channels: number): Value {
  const [height, width] = [staticDim(X.shape, 2), staticDim(X.shape, 3)];
  const split = g.Reshape(X, g.int64([0, group, channels, height, width]));
  return g.Reshape(g.Transpose(split, { perm: [1, 0, 2, 3, 4] }), g.int64([-1, channels, height, width]));
}
