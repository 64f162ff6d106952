import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { windowOf } from "../operators/windows.ts";
import type { Convolution } from "./convolution.ts";
import type { Lower } from "./lower.ts";
import { blocks, plain } from "./nchwc-convolution.ts";

/** The side of a tile in pixels: F(4x4, 3x3) writes 4 x 4 pixels and reads 6 x 6, which is 4 + 3 - 1. */
const TILE = 4;
const READ = 6;

// Y = A^T [(G w G^T) * (B^T x B)] A, by Lavin and Gray (arXiv 1509.09308), section 4.3
const BT = [
  [4, 0, -5, 0, 1, 0],
  [0, -4, -4, 1, 1, 0],
  [0, 4, -4, -1, 1, 0],
  [0, -2, -1, 2, 1, 0],
  [0, 2, -1, -2, 1, 0],
  [0, 4, 0, -5, 0, 1],
];
const G = [
  [1 / 4, 0, 0],
  [-1 / 6, -1 / 6, -1 / 6],
  [-1 / 6, 1 / 6, -1 / 6],
  [1 / 24, 1 / 12, 1 / 6],
  [1 / 24, -1 / 12, 1 / 6],
  [0, 0, 1],
];
const AT = [
  [1, 1, 1, 1, 1, 0],
  [0, 1, -1, 2, -2, 0],
  [0, 1, 1, 4, 4, 0],
  [0, 1, -1, 8, -8, 1],
];

type Matrix = readonly (readonly number[])[];

/**
 * Whether Winograd's algorithm F(4x4, 3x3) makes a convolution of floats faster: a 3x3 kernel, stride,
 * dilation and pads of 1, a map of whole tiles, and enough channels. The products take a quarter of the
 * multiplications; the cost of the transforms, in time and in memory, grows with the side of the map.
 */
export function suitsWinograd({ X, W, group, window }: Omit<Convolution, "dY">): boolean {
  const { kernel, strides, dilations, pads } = window;
  if (X.elemType !== "float" || X.shape.length !== 4 || group !== 1 || kernel.join() !== "3,3") return false;
  if ([...strides, ...dilations, ...pads].some((size) => size !== 1)) return false;
  const [filters, channels] = [Number(at(W.shape, 0)), Number(at(W.shape, 1))];
  const sides = X.shape.slice(2);
  return sides.every(
    (side) =>
      typeof side === "number" &&
      side % TILE === 0 &&
      side >= 2 * TILE &&
      Math.min(filters, channels) >= 6 * side,
  );
}

/** Conv by Winograd's algorithm, where `suitsWinograd` holds; with B, over maps in blocks of B channels. */
export function winogradConv(B?: number): Lower<"Conv"> {
  return (g, { I, optional, attributes }) => {
    const [X, W, bias] = [I(0), I(1), optional(2)];
    const window = windowOf(kernelOf(W, attributes), attributes);
    if (!suitsWinograd({ X, W, group: attributes.group, window })) return undefined;
    const exchanged = g.Transpose(weightsOfTiles(g, W), { perm: [0, 1, 2, 4, 3] });
    const products = g.MatMul(tilesRead(g, X, B), exchanged);
    const Y = fromTiles(g, products, X, outputTransform);
    return [pixelsLast(g, bias ? g.Add(Y, bias) : Y, B)];
  };
}

/** dX of Y = Conv(X, W). */
export function winogradInputGradient(g: Builder, { dY, X, W }: Convolution, B?: number): Value {
  const products = g.MatMul(tilesWritten(g, dY, B), weightsOfTiles(g, W));
  return pixelsLast(
    g,
    fromTiles(g, products, X, (side) => transposed(inputTransform(side))),
    B,
  );
}

/** dW of Y = Conv(X, W). */
export function winogradWeightGradient(g: Builder, { dY, X, W }: Convolution, B?: number): Value {
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const perRow = g.FusedMatMul(tilesWritten(g, dY, B), tilesRead(g, X, B), { transA: 1 });
  const products = g.ReduceSum(perRow, g.int64([1]), { keepdims: 0 });
  const flat = g.Reshape(products, g.int64([READ * READ, filters * channels]));
  const taps = g.MatMul(constant(g, transposed(weightTransform())), flat);
  return g.Reshape(g.Transpose(taps, { perm: [1, 0] }), g.int64([filters, channels, 3, 3]));
}

/**
 * [N, C, H, W] as [H, W, N, C]: in this layout the transforms are matrix products. From blocks of B channels
 * it is a transposition of the pixels with the blocks, which ReorderInput does faster than Transpose.
 */
function pixelsFirst(g: Builder, X: Value, B?: number): Value {
  if (B === undefined || staticDim(X.shape, 1) % B !== 0) return g.Transpose(X, { perm: [2, 3, 0, 1] });
  const [channels, height] = [staticDim(X.shape, 1), staticDim(X.shape, 2)];
  const width = staticDim(X.shape, 3);
  const blocksFirst = g.Reshape(blocks(g, X), g.int64([1, -1, 1, height * width * B]));
  const pixels = g.ReorderInput(blocksFirst, { channels_last: 1 });
  return g.Reshape(pixels, g.int64([height, width, -1, channels]));
}

/** [H, W, N, C] as [N, C, H, W], the way back from `pixelsFirst`. */
function pixelsLast(g: Builder, X: Value, B?: number): Value {
  const [height, width] = [staticDim(X.shape, 0), staticDim(X.shape, 1)];
  const channels = staticDim(X.shape, 3);
  if (B === undefined || channels % B !== 0) return g.Transpose(X, { perm: [2, 3, 0, 1] });
  const pixels = g.Reshape(X, g.int64([1, height * width * B, -1, 1]));
  const blocksFirst = g.ReorderOutput(pixels, { channels: height * width * B, channels_last: 1 });
  return plain(g, g.Reshape(blocksFirst, g.int64([-1, channels, height, width])));
}

/** G w G^T of every pair of channels: [6, 1, 6, filters, channels]. */
function weightsOfTiles(g: Builder, W: Value): Value {
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const taps = g.Transpose(g.Reshape(W, g.int64([filters * channels, 9])), { perm: [1, 0] });
  const turned = g.MatMul(constant(g, weightTransform()), taps);
  return g.Reshape(turned, g.int64([READ, 1, READ, filters, channels]));
}

/** B^T x B of every tile of X. */
function tilesRead(g: Builder, X: Value, B?: number): Value {
  return toTiles(g, pixelsFirst(g, X, B), inputTransform);
}

/** A dY A^T of every tile of dY. */
function tilesWritten(g: Builder, dY: Value, B?: number): Value {
  return toTiles(g, pixelsFirst(g, dY, B), (side) => transposed(outputTransform(side)));
}

/** [H, W, N, C] to [6, H / 4, 6, W / 4 * N, C]. */
function toTiles(g: Builder, X: Value, transform: (side: number) => Matrix): Value {
  const [height, width, channels] = [staticDim(X.shape, 0), staticDim(X.shape, 1), staticDim(X.shape, 3)];
  const seen = alongSides(g, X, transform(height), transform(width));
  return g.Reshape(seen, g.int64([READ, height / TILE, READ, -1, channels]));
}

/** [6, H / 4, 6, W / 4 * N, C] to [H, W, N, C], with the H and W of `image` [N, ..., H, W]. */
function fromTiles(g: Builder, products: Value, image: Value, transform: (side: number) => Matrix): Value {
  const [height, width] = [staticDim(image.shape, 2), staticDim(image.shape, 3)];
  const channels = staticDim(products.shape, 4);
  const columns = g.int64([READ * (height / TILE), READ * (width / TILE), -1, channels]);
  const seen = alongSides(g, g.Reshape(products, columns), transform(height), transform(width));
  return g.Reshape(seen, g.int64([height, width, -1, channels]));
}

/** `rows` X `columns`^T for every image and channel of X [h, w, N, C], as [rows, columns, N C]. */
function alongSides(g: Builder, X: Value, rows: Matrix, columns: Matrix): Value {
  const [height, width] = [staticDim(X.shape, 0), staticDim(X.shape, 1)];
  const vertical = g.MatMul(constant(g, rows), g.Reshape(X, g.int64([height, -1])));
  const lines = g.Reshape(vertical, g.int64([rows.length, width, -1]));
  return g.MatMul(constant(g, columns), lines);
}

/**
 * B^T for all tiles along a side that is padded by 1: a matrix [6 tiles, side], rows ordered by B^T's row,
 * then tile.
 */
function inputTransform(side: number): Matrix {
  return placed(BT, side, (tile, tap) => TILE * tile + tap - 1);
}

/** A^T for all tiles along a side: a matrix [side, 6 tiles]. */
function outputTransform(side: number): Matrix {
  return transposed(placed(transposed(AT), side, (tile, pixel) => TILE * tile + pixel));
}

/**
 * Repeats a tile's matrix [6, n] for every tile along a side, as [6 tiles, side]; `pixelOf` gives the pixel
 * of a column, and columns outside of the side are dropped.
 */
function placed(matrix: Matrix, side: number, pixelOf: (tile: number, column: number) => number): Matrix {
  return matrix.flatMap((row) =>
    Array.from({ length: side / TILE }, (_, tile) => {
      const line: number[] = Array(side).fill(0);
      for (const [column, value] of row.entries()) {
        const pixel = pixelOf(tile, column);
        if (pixel >= 0 && pixel < side) line[pixel] = value;
      }
      return line;
    }),
  );
}

/** The Kronecker product of G with itself, [36, 9]: it maps a flattened w to the flattened G w G^T. */
function weightTransform(): Matrix {
  return G.flatMap((row) => G.map((other) => row.flatMap((a) => other.map((b) => a * b))));
}

function transposed(matrix: Matrix): Matrix {
  return at(matrix, 0).map((_, column) => matrix.map((row) => at(row, column)));
}

function constant(g: Builder, matrix: Matrix): Value {
  return g.float(matrix.flat(), [matrix.length, at(matrix, 0).length]);
}
