import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { type Convolution, inputGradient } from "./convolution.ts";

/** The most pixels of a map of dY for which the products are faster than ConvTranspose. */
const PIXELS = 8;
/** The fewest filters; with fewer, the product of an image alone is cheap. */
const FILTERS = 64;
/** The most elements of the constant of all taps' places, which large kernels would make huge. */
const PLACES = 2 ** 16;

/**
 * dX of a convolution with a stride. ONNX Runtime's ConvTranspose multiplies image by image, which is slow
 * where an image has few pixels and many filters, as at the end of a ResNet: there dX is two products of
 * matrices that take all images together.
 */
export function stridedInputGradient(g: Builder, conv: Convolution): Value {
  const { dY, X, W, group } = conv;
  const sizeOf = ({ shape: [, , ...sides] }: Value) =>
    sides.reduce<number>((product, side) => product * Number(side), 1);
  const pixels = sizeOf(dY);
  const isFew =
    pixels <= PIXELS && Number(dY.shape[1]) >= FILTERS && pixels * sizeOf(W) * sizeOf(X) <= PLACES;
  return isFew && group === 1 && W.shape.length === 4
    ? inputGradientByProducts(g, conv)
    : inputGradient(g, conv);
}

/**
 * dX [N, C, H, W]: dY as [N pixels, filters] times W as [filters, C taps], and the result times a constant
 * that puts every tap to its place in X, [pixels taps, H W].
 */
function inputGradientByProducts(g: Builder, conv: Convolution): Value {
  const { dY, X, W } = conv;
  const [filters, channels] = [staticDim(W.shape, 0), staticDim(W.shape, 1)];
  const [height, width] = [staticDim(X.shape, 2), staticDim(X.shape, 3)];
  const places = tapPlaces(conv);
  const pixels = staticDim(dY.shape, 2) * staticDim(dY.shape, 3);
  const taps = places.length / pixels;
  const rows = g.Reshape(g.Transpose(dY, { perm: [0, 2, 3, 1] }), g.int64([-1, filters]));
  const products = g.MatMul(rows, g.Reshape(W, g.int64([filters, channels * taps])));
  const perPixel = g.Reshape(products, g.int64([-1, pixels, channels, taps]));
  const perMap = g.Reshape(g.Transpose(perPixel, { perm: [0, 2, 1, 3] }), g.int64([-1, pixels * taps]));
  const maps = g.MatMul(perMap, g.float(places.flat(), [pixels * taps, height * width]));
  return g.Reshape(maps, g.int64([-1, channels, height, width]));
}

/**
 * A map of X for every pixel of dY and every tap: 1 where the tap reads X, and all 0 where it reads outside.
 */
function tapPlaces({ dY, X, window }: Convolution): number[][] {
  const { kernel, strides, dilations, pads } = window;
  const each = (count: number) => Array.from({ length: count }, (_, i) => i);
  const [height, width] = [staticDim(X.shape, 2), staticDim(X.shape, 3)];
  const placeOf = (axis: number, pixel: number, tap: number) =>
    at(strides, axis) * pixel + at(dilations, axis) * tap - at(pads, axis);
  return each(staticDim(dY.shape, 2)).flatMap((row) =>
    each(staticDim(dY.shape, 3)).flatMap((column) =>
      each(at(kernel, 0)).flatMap((down) =>
        each(at(kernel, 1)).map((across) => {
          const [y, x] = [placeOf(0, row, down), placeOf(1, column, across)];
          const map: number[] = Array(height * width).fill(0);
          if (y >= 0 && y < height && x >= 0 && x < width) map[y * width + x] = 1;
          return map;
        }),
      ),
    ),
  );
}
