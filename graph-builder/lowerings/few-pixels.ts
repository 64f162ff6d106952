import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { windowedDims, windowOf } from "../operators/windows.ts";
import { elementCount } from "../types.ts";
import { type Convolution, imagesOf, inputGradient } from "./convolution.ts";
import type { Lower } from "./lower.ts";

/** How many times as many filters as pixels of all images a convolution by products has at least. */
const FILTERS_PER_PIXEL = 2;
/** How many times as many numbers as the maps the weights of a convolution by products have at least. */
const WEIGHTS_PER_MAP = 2;
/** The most elements of the constant of all taps' places, which large kernels would make huge. */
const PLACES = 2 ** 16;
/** The most pixels of a map of dY for which dX at a stride by products is faster than ConvTranspose. */
const STRIDED_PIXELS = 8;
/** The fewest filters; with fewer, the product of an image alone is cheap. */
const STRIDED_FILTERS = 64;

/**
 * Whether a convolution is fastest as one product of matrices over all images and pixels, as at the end of a
 * ResNet: its maps have few pixels, and its weights are large. The product reads the weights as they are,
 * where other forms of the convolution and of its gradients copy them into other layouts, and ONNX Runtime's
 * Conv reads all weights once an image.
 */
export function suitsProducts({ X, W, group, window }: Omit<Convolution, "dY">): boolean {
  if (group !== 1 || ![X, W].every(({ elemType, shape }) => elemType === "float" && shape.length === 4)) {
    return false;
  }
  if (![...X.shape.slice(1), ...W.shape].every((dim) => typeof dim === "number")) return false;
  const images = imagesOf(X);
  const filters = staticDim(W.shape, 0);
  const written = elementCount(windowedDims(X.shape.slice(2), window).map(Number));
  const maps = images * (elementCount(X.shape.slice(1).map(Number)) + filters * written);
  const weights = elementCount(W.shape.map(Number));
  const read = elementCount(X.shape.slice(2).map(Number));
  return (
    weights >= WEIGHTS_PER_MAP * maps &&
    filters >= FILTERS_PER_PIXEL * images * written &&
    hasFewPlaces(W, read, written)
  );
}

/** Conv as a product of matrices, where `suitsProducts` holds. */
export const productConv: Lower<"Conv"> = (g, { I, optional, attributes, node }) => {
  const [X, W, bias] = [I(0), I(1), optional(2)];
  const window = windowOf(kernelOf(W, attributes), attributes);
  if (!suitsProducts({ X, W, group: attributes.group, window })) return undefined;
  const sides = node.output(0).shape.slice(2).map(Number);
  const filters = staticDim(W.shape, 0);
  const column = bias && g.Reshape(bias, g.int64([filters, 1]));
  const Y = g.Gemm(flatWeights(g, W), columnsOf(g, { X, W, window }, sides), column ?? null);
  return [imagesFirst(g, Y, [filters, ...sides])];
};

/** dW [M, C, kh, kw] of Y = Conv(X, W): dY as [M, pixels N], times the columns that X was read in. */
export function productWeightGradient(g: Builder, conv: Convolution): Value {
  const { dY, W } = conv;
  const columns = columnsOf(g, conv, sidesOf(dY));
  const product = g.Gemm(imagesLast(g, dY), columns, null, { transB: 1 });
  return g.Reshape(product, g.int64(W.shape.map(Number)));
}

/** dX of Y = Conv(X, W): W^T dY, every tap added to the place in X where it was read. */
export function productInputGradient(g: Builder, { dY, X, W, window }: Convolution): Value {
  const channels = staticDim(W.shape, 1);
  const columns = g.Gemm(flatWeights(g, W), imagesLast(g, dY), null, { transA: 1 });
  const places = tapPlaces({ X, W, window }, sidesOf(dY));
  const maps = isAsItIs(places)
    ? columns
    : g.MatMul(constant(g, transposed(places)), g.Reshape(columns, g.int64([channels, places.length, -1])));
  return imagesFirst(g, maps, [channels, ...sidesOf(X)]);
}

/**
 * dX of a convolution with a stride. ONNX Runtime's ConvTranspose multiplies image by image, which is slow
 * where an image has few pixels and many filters: there dX is a product that takes all images together.
 */
export function stridedInputGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, group } = conv;
  const pixels = elementCount(sidesOf(dY));
  const isFew =
    group === 1 &&
    W.elemType === "float" &&
    W.shape.length === 4 &&
    pixels <= STRIDED_PIXELS &&
    staticDim(dY.shape, 1) >= STRIDED_FILTERS &&
    hasFewPlaces(W, elementCount(sidesOf(X)), pixels);
  return isFew ? productInputGradient(g, conv) : inputGradient(g, conv);
}

function hasFewPlaces(W: Value, read: number, written: number): boolean {
  return elementCount(sidesOf(W)) * read * written <= PLACES;
}

function sidesOf({ shape }: Value): number[] {
  return shape.slice(2).map((_, i) => staticDim(shape, i + 2));
}

/** W [M, C, kh, kw] as [M, C taps]. */
function flatWeights(g: Builder, W: Value): Value {
  return g.Reshape(W, g.int64([staticDim(W.shape, 0), -1]));
}

/** [N, C, H, W] as [C, H W N]. */
function imagesLast(g: Builder, X: Value): Value {
  const [channels, pixels] = [staticDim(X.shape, 1), elementCount(sidesOf(X))];
  const flat = g.Reshape(X, g.int64([-1, channels * pixels]));
  return g.Reshape(g.Transpose(flat, { perm: [1, 0] }), g.int64([channels, -1]));
}

/** [C, H W N] as [N, C, H, W] with `dims` [C, H, W], the way back from `imagesLast`. */
function imagesFirst(g: Builder, X: Value, dims: readonly number[]): Value {
  const flat = g.Reshape(X, g.int64([elementCount(dims), -1]));
  return g.Reshape(g.Transpose(flat, { perm: [1, 0] }), g.int64([-1, ...dims]));
}

/** What each tap reads for each of the pixels `sides` of Y: [C taps, pixels N]. */
function columnsOf(
  g: Builder,
  conv: Pick<Convolution, "X" | "W" | "window">,
  sides: readonly number[],
): Value {
  const { X } = conv;
  const places = tapPlaces(conv, sides);
  const maps = imagesLast(g, X);
  if (isAsItIs(places)) return maps;
  const channels = staticDim(X.shape, 1);
  const perChannel = g.Reshape(maps, g.int64([channels, elementCount(sidesOf(X)), -1]));
  const read = g.MatMul(constant(g, places), perChannel);
  return g.Reshape(read, g.int64([(channels * places.length) / elementCount(sides), -1]));
}

type Matrix = readonly (readonly number[])[];

/**
 * A map of X for every tap and every pixel of Y, [taps pixels, H W]: 1 where the tap reads X, and all 0
 * where it reads outside.
 */
function tapPlaces(
  { X, W, window }: Pick<Convolution, "X" | "W" | "window">,
  sides: readonly number[],
): Matrix {
  const { strides, dilations, pads } = window;
  const [height, width] = [staticDim(X.shape, 2), staticDim(X.shape, 3)];
  const placeOf = (axis: number, pixel: number, tap: number) =>
    at(strides, axis) * pixel + at(dilations, axis) * tap - at(pads, axis);
  return grid(sidesOf(W)).flatMap(([down, across]) =>
    grid(sides).map(([row, column]) => {
      const [y, x] = [placeOf(0, row, down), placeOf(1, column, across)];
      const map: number[] = Array(height * width).fill(0);
      if (y >= 0 && y < height && x >= 0 && x < width) map[y * width + x] = 1;
      return map;
    }),
  );
}

/** All pairs of indices below two sizes, in the order of memory. */
function grid([height = 1, width = 1]: readonly number[]): (readonly [number, number])[] {
  return Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width] as const);
}

/** Whether the places are those of a 1x1 convolution, which reads every pixel where it is. */
function isAsItIs(places: Matrix): boolean {
  return (
    places.length === at(places, 0).length &&
    places.every((map, pixel) => map.every((value, i) => value === Number(i === pixel)))
  );
}

function transposed(matrix: Matrix): Matrix {
  return at(matrix, 0).map((_, column) => matrix.map((row) => at(row, column)));
}

function constant(g: Builder, matrix: Matrix): Value {
  return g.float(matrix.flat(), [matrix.length, at(matrix, 0).length]);
}
