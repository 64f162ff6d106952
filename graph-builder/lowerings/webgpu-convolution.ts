import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import type { Window } from "../operators/windows.ts";
import { Tensor } from "../tensor.ts";
import { last, pixelRows } from "./channels-last.ts";
import { type Convolution, textbookWeightGradient } from "./convolution.ts";

/**
 * From this many pixels an image on, the product is one for each image, and the products are summed: WebGPU's
 * product divides its rows and columns among the cores of a graphics card, and not the sum over pixels.
 */
const MANY_PIXELS = 256;

/**
 * dW as a product of matrices over the pixels. The other factor of a tap is a shifted image: at stride 1, X
 * is copied along the width and dY along the height, so that one product of [kh M] by [kw C] has all taps;
 * else X is copied for every tap. Where the kernel has a side that WebGPU does not copy rightly, and for
 * groups, dW is the convolution of `textbookWeightGradient`, whose kernel is as large as the picture: it
 * keeps few cores busy.
 */
export function productWeightGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, group, window } = conv;
  const [height = 1, width = 1] = window.kernel;
  const isPlain = group === 1 && window.kernel.length === 2 && X.elemType === "float";
  if (!isPlain || ![height, width].every(isCopied)) return textbookWeightGradient(g, conv);
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const product = crossedProduct(g, conv) ?? pixelProduct(g, dY, pixelsUnderTaps(g, X, window));
  const unfolded = g.Reshape(product, g.int64([filters, height, channels, width]));
  return g.Transpose(unfolded, { perm: [0, 2, 1, 3] });
}

/**
 * The product [M kh, C kw] of dY copied along the height and X copied along the width. Undefined where the
 * stride is not 1 or a padding would be negative.
 */
function crossedProduct(g: Builder, { dY, X, window }: Convolution): Value | undefined {
  const { kernel, strides, dilations, pads } = window;
  const [height = 1, width = 1] = kernel;
  const [down = 1, across = 1] = dilations;
  const [top = 0, left = 0, , right = 0] = pads;
  const before = down * (height - 1) - top;
  const after = staticDim(X.shape, 2) - staticDim(dY.shape, 2) + top;
  if (strides.some((stride) => stride !== 1) || before < 0 || after < 0) return undefined;
  const rows = Array.from({ length: height }, (_, i) => [height - 1 - i, 0] as const);
  const columns = Array.from({ length: width }, (_, i) => [0, i] as const);
  const image = copies(g, X, columns, {
    kernel: [1, width],
    strides,
    dilations: [1, across],
    pads: [0, left, 0, right],
  });
  const gradient = copies(g, dY, rows, {
    kernel: [height, 1],
    strides,
    dilations: [down, 1],
    pads: [before, 0, after, 0],
  });
  return pixelProduct(g, gradient, image);
}

/** The pixels under the taps of a window [N, kh C kw, Ho, Wo]. */
function pixelsUnderTaps(g: Builder, X: Value, window: Window): Value {
  const [height = 1, width = 1] = window.kernel;
  const rows = Array.from({ length: height }, (_, row) =>
    copies(
      g,
      X,
      Array.from({ length: width }, (__, column) => [row, column] as const),
      window,
    ),
  );
  return rows.length === 1 ? at(rows, 0) : g.Concat(...rows, { axis: 1 });
}

/**
 * Whether ONNX Runtime 1.30's grouped convolution on WebGPU has right results with this number of filters a
 * group: it computes four filters at once from 4 on, and takes the first one's group for all.
 */
function isCopied(filters: number): boolean {
  return filters < 4 || filters % 4 === 0;
}

/**
 * The channels of X once for each tap [N, C taps, Ho, Wo], by a depthwise convolution with ones for weights,
 * which reads X once and is exact. `taps` are [row, column] in the kernel.
 */
function copies(
  g: Builder,
  X: Value,
  taps: readonly (readonly [number, number])[],
  { kernel, strides, dilations, pads }: Window,
): Value {
  if ([...kernel, ...strides].every((size) => size === 1) && pads.every((pad) => pad === 0)) return X;
  const channels = staticDim(X.shape, 1);
  const weights = tapWeights(g, channels, taps, [at(kernel, 0), at(kernel, 1)]);
  return g.Conv(X, weights, null, { kernel_shape: kernel, strides, dilations, pads, group: channels });
}

const known = new WeakMap<object, Map<string, Value>>();

/** The weights [C taps, 1, kh, kw] that pick one tap each. */
function tapWeights(
  g: Builder,
  channels: number,
  taps: readonly (readonly [number, number])[],
  [height, width]: readonly [number, number],
): Value {
  const ofGraph = known.get(g.graph) ?? new Map<string, Value>();
  known.set(g.graph, ofGraph);
  const key = `${channels} ${height} ${width} ${taps.join(" ")}`;
  const made = ofGraph.get(key);
  if (made) return made;
  const area = height * width;
  const data = new Float32Array(channels * taps.length * area);
  for (let filter = 0; filter < channels * taps.length; filter++) {
    const [row, column] = at(taps, filter % taps.length);
    data[filter * area + row * width + column] = 1;
  }
  const weights = g.constant(new Tensor("float", [channels * taps.length, 1, height, width], data));
  ofGraph.set(key, weights);
  return weights;
}

/** The sum over all pixels of the products of A's and B's channels: [A's, B's]. */
function pixelProduct(g: Builder, A: Value, B: Value): Value {
  const [rows, columns] = [staticDim(A.shape, 1), staticDim(B.shape, 1)];
  const pixels = staticDim(A.shape, 2) * staticDim(A.shape, 3);
  if (pixels < MANY_PIXELS) {
    const turned = g.Reshape(g.Transpose(A, { perm: [1, 0, 2, 3] }), g.int64([rows, -1]));
    return g.MatMul(turned, pixelRows(g, last(g, B)));
  }
  const left = g.Reshape(A, g.int64([0, rows, pixels]));
  const right = g.Reshape(last(g, B), g.int64([0, pixels, columns]));
  return g.ReduceSum(g.MatMul(left, right), g.int64([0]), { keepdims: 0 });
}
