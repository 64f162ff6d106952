import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import { Tensor, tensorOf } from "../tensor.ts";
import { isHalfType } from "../types.ts";

const LAST = [0, 2, 3, 1];
const FIRST = [0, 3, 1, 2];

/** X [N, C, H, W] as [N, H, W, C]. What was made in that layout is taken as it was made. */
export function last(g: Builder, X: Value): Value {
  return madeLast(X) ?? g.Transpose(X, { perm: LAST });
}

/** X [N, H, W, C] as [N, C, H, W]. */
export function first(g: Builder, X: Value): Value {
  return g.Transpose(X, { perm: FIRST });
}

/** The value [N, H, W, C] that X was transposed from, if it was. */
export function madeLast(X: Value | null | undefined): Value | undefined {
  const node = X?.producer;
  if (node?.opType !== "Transpose") return undefined;
  const { perm } = node.attributes as { readonly perm?: readonly number[] };
  return perm?.join() === FIRST.join() ? node.input(0) : undefined;
}

/** X [N, H, W, C] as a matrix [N H W, C]. */
export function pixelRows(g: Builder, X: Value): Value {
  return g.Reshape(X, g.int64([-1, staticDim(X.shape, X.shape.length - 1)]));
}

/** A constant of X's element type, which is one of floats. */
export function constantLike(
  g: Builder,
  X: Value,
  values: readonly number[],
  dims: readonly number[] = [values.length],
): Value {
  return g.constant(tensorOf(X.elemType, values, dims));
}

const oneHots = new WeakMap<object, Map<string, Value>>();

/**
 * The weights [taps C, C, kh, kw] of a convolution that puts the pixels under its window side by side:
 * channel (tap, c) of the result is channel c of the pixel under that tap. `taps` are [row, column] in the
 * kernel, in the order of the result.
 */
export function copyingWeights(
  g: Builder,
  X: Value,
  channels: number,
  [height, width]: readonly [number, number],
  taps: readonly (readonly [number, number])[],
): Value {
  const known = oneHots.get(g.graph) ?? new Map<string, Value>();
  oneHots.set(g.graph, known);
  const key = `${X.elemType} ${channels} ${height} ${width} ${taps.join(" ")}`;
  const made = known.get(key);
  if (made) return made;
  const area = height * width;
  const size = taps.length * channels * channels * area;
  const { elemType, data: ones } = tensorOf(X.elemType, [1]);
  const one = Number(ones[0]);
  const data = isHalfType(elemType) ? new Uint16Array(size) : new Float32Array(size);
  for (const [tap, [row, column]] of taps.entries()) {
    for (let c = 0; c < channels; c++) {
      data[((tap * channels + c) * channels + c) * area + row * width + column] = one;
    }
  }
  const weights = g.constant(new Tensor(elemType, [taps.length * channels, channels, height, width], data));
  known.set(key, weights);
  return weights;
}
