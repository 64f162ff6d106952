import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { kernelOf } from "../operators/neural.ts";
import { windowOf } from "../operators/windows.ts";
import { type Convolution, imagesOf } from "./convolution.ts";
import type { Lower } from "./lower.ts";
import { blocks, plain } from "./nchwc-convolution.ts";
import {
  inputTransform,
  type Matrix,
  outputTransform,
  type Tiles,
  tilesAlong,
  transposed,
  weightTransform,
} from "./winograd-tiles.ts";

/**
 * How many multiplications of a direct convolution take the time of one in a transform, which memory limits:
 * where maps lie in blocks of 8 channels, as with the narrow vectors of AVX2, and elsewhere.
 */
const TRANSFORM_COST = { narrow: 2, wide: 4.5 };

/**
 * Whether Winograd's algorithm makes a convolution of floats faster: a 3x3 kernel, stride, dilation and pads
 * of 1, and enough channels. The products take a quarter of the multiplications where tiles of 4 x 4 pixels
 * fill the map; the transforms of the maps and of the weights take time of their own. B is the number of
 * channels in a block, where maps lie in blocks.
 */
export function suitsWinograd({ X, W, group, window }: Omit<Convolution, "dY">, B?: number): boolean {
  const { kernel, strides, dilations, pads } = window;
  if (X.elemType !== "float" || X.shape.length !== 4 || group !== 1 || kernel.join() !== "3,3") return false;
  if ([...strides, ...dilations, ...pads].some((size) => size !== 1)) return false;
  if (![...X.shape.slice(1), ...W.shape].every((dim) => typeof dim === "number")) return false;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const [rows, columns] = tilesOf(X);
  const [height, width] = [readAlong(rows), readAlong(columns)];
  // a direct convolution reads no pixels outside of the map
  const direct = (3 * rows.side - 2) * (3 * columns.side - 2);
  const saved = filters * channels * (direct - height * width);
  const maps = (filters + channels) * height * columns.side * (rows.side + width);
  const weights = (filters * channels * rows.read * columns.read * 9) / imagesOf(X);
  return saved >= TRANSFORM_COST[B === 8 ? "narrow" : "wide"] * (maps + weights);
}

/** Conv by Winograd's algorithm, where `suitsWinograd` holds; with B, over maps in blocks of B channels. */
export function winogradConv(B?: number): Lower<"Conv"> {
  return (g, { I, optional, attributes }) => {
    const [X, W, bias] = [I(0), I(1), optional(2)];
    const window = windowOf(kernelOf(W, attributes), attributes);
    if (!suitsWinograd({ X, W, group: attributes.group, window }, B)) return undefined;
    const tiles = tilesOf(X);
    const exchanged = g.Transpose(weightsOfTiles(g, W, tiles), { perm: [0, 1, 2, 4, 3] });
    const products = g.MatMul(tilesRead(g, X, tiles, B), exchanged);
    const Y = fromTiles(g, products, tiles, outputTransform);
    return [pixelsLast(g, bias ? g.Add(Y, bias) : Y, B)];
  };
}

/** dX of Y = Conv(X, W). */
export function winogradInputGradient(g: Builder, { dY, X, W }: Convolution, B?: number): Value {
  const tiles = tilesOf(X);
  const products = g.MatMul(tilesWritten(g, dY, tiles, B), weightsOfTiles(g, W, tiles));
  const dX = fromTiles(g, products, tiles, (side) => transposed(inputTransform(side)));
  return pixelsLast(g, dX, B);
}

/** dW of Y = Conv(X, W). */
export function winogradWeightGradient(g: Builder, { dY, X, W }: Convolution, B?: number): Value {
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const tiles = tilesOf(X);
  const [rows, columns] = tiles;
  const perRow = g.FusedMatMul(tilesWritten(g, dY, tiles, B), tilesRead(g, X, tiles, B), { transA: 1 });
  const products = g.ReduceSum(perRow, g.int64([1]), { keepdims: 0 });
  const flat = g.Reshape(products, g.int64([rows.read * columns.read, filters * channels]));
  const taps = g.MatMul(constant(g, transposed(weightTransform(rows, columns))), flat);
  return g.Reshape(g.Transpose(taps, { perm: [1, 0] }), g.int64([filters, channels, 3, 3]));
}

/** The tiles along the height and the width of a map [N, C, H, W]. */
type MapTiles = readonly [rows: Tiles, columns: Tiles];

function tilesOf(X: Value): MapTiles {
  return [tilesAlong(staticDim(X.shape, 2)), tilesAlong(staticDim(X.shape, 3))];
}

/** The pixels that all tiles along a side read together. */
function readAlong({ read, count }: Tiles): number {
  return read * count;
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

/** G w G^T of every pair of channels: [rows' read, 1, columns' read, filters, channels]. */
function weightsOfTiles(g: Builder, W: Value, [rows, columns]: MapTiles): Value {
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const taps = g.Transpose(g.Reshape(W, g.int64([filters * channels, 9])), { perm: [1, 0] });
  const turned = g.MatMul(constant(g, weightTransform(rows, columns)), taps);
  return g.Reshape(turned, g.int64([rows.read, 1, columns.read, filters, channels]));
}

/** B^T x B of every tile of X. */
function tilesRead(g: Builder, X: Value, tiles: MapTiles, B?: number): Value {
  return toTiles(g, pixelsFirst(g, X, B), tiles, inputTransform);
}

/** A dY A^T of every tile of dY. */
function tilesWritten(g: Builder, dY: Value, tiles: MapTiles, B?: number): Value {
  return toTiles(g, pixelsFirst(g, dY, B), tiles, (side) => transposed(outputTransform(side)));
}

/** [H, W, N, C] to [rows' read, rows' count, columns' read, columns' count * N, C]. */
function toTiles(
  g: Builder,
  X: Value,
  [rows, columns]: MapTiles,
  transform: (tiles: Tiles) => Matrix,
): Value {
  const seen = alongSides(g, X, transform(rows), transform(columns));
  return g.Reshape(seen, g.int64([rows.read, rows.count, columns.read, -1, staticDim(X.shape, 3)]));
}

/** [rows' read, rows' count, columns' read, columns' count * N, C] to [H, W, N, C]. */
function fromTiles(
  g: Builder,
  products: Value,
  [rows, columns]: MapTiles,
  transform: (tiles: Tiles) => Matrix,
): Value {
  const channels = staticDim(products.shape, 4);
  const pixels = g.Reshape(products, g.int64([readAlong(rows), readAlong(columns), -1, channels]));
  const seen = alongSides(g, pixels, transform(rows), transform(columns));
  return g.Reshape(seen, g.int64([rows.side, columns.side, -1, channels]));
}

/** `rows` X `columns`^T for every image and channel of X [h, w, N, C], as [rows, columns, N C]. */
function alongSides(g: Builder, X: Value, rows: Matrix, columns: Matrix): Value {
  const [height, width] = [staticDim(X.shape, 0), staticDim(X.shape, 1)];
  const vertical = g.MatMul(constant(g, rows), g.Reshape(X, g.int64([height, -1])));
  const lines = g.Reshape(vertical, g.int64([rows.length, width, -1]));
  return g.MatMul(constant(g, columns), lines);
}

function constant(g: Builder, matrix: Matrix): Value {
  return g.float(matrix.flat(), [matrix.length, at(matrix, 0).length]);
}
