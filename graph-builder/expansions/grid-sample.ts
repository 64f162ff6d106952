import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { combinations } from "../combinations.ts";
import { castLike, elementsOver, floatLike, sizeAt, spatialAxes } from "../composites.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { Attributes } from "../operators/index.ts";
import type { Expansion } from "./expansion.ts";

/** An axis of the picture: its size as a number of the picture's type. */
interface Axis {
  readonly length: Value;
  readonly attributes: Attributes<"GridSample">;
}

/** An element that a place reads: its index along an axis, and its weight; null for 1. */
interface Tap {
  readonly index: Value;
  readonly weight: Value | null;
}

/**
 * Reads a picture [N, C, ...] at the places of a grid: the weighted sum of the elements around each place. A
 * coordinate of the grid is -1 at the start and 1 at the end of an axis; the last axis has the first one.
 */
export const gridSample: Expansion<"GridSample"> = (g, { I, attributes }) => {
  const [X, grid] = [I(0), I(1)];
  const axes = spatialAxes(X);
  const taps = axes.map((axis) => {
    const along = { length: elementsOver(g, X, [axis], X.elemType), attributes };
    const coordinates = g.Gather(grid, g.int64(axes.length + 1 - axis), { axis: -1 });
    return tapsOf(g, castLike(g, g.Reshape(coordinates, g.int64([0, -1])), X), along);
  });
  const pixels = g.Transpose(g.Reshape(X, g.int64([0, 0, -1])), { perm: [0, 2, 1] });
  const terms = combinations(taps).map((combination) => {
    const flat = combination.reduce((index, tap, i) => {
      return i === 0 ? tap.index : g.Add(g.Mul(index, sizeAt(g, X, i + 2)), tap.index);
    }, at(combination, 0).index);
    const read = g.GatherND(pixels, g.Unsqueeze(flat, g.int64([2])), { batch_dims: 1 });
    const weights = combination.flatMap(({ weight }) => weight ?? []);
    if (weights.length === 0) return read;
    return g.Mul(
      read,
      g.Unsqueeze(
        weights.reduce((a, b) => g.Mul(a, b)),
        g.int64([2]),
      ),
    );
  });
  const sum = g.Transpose(terms.length > 1 ? g.Sum(...terms) : at(terms, 0), { perm: [0, 2, 1] });
  const places = g.Shape(grid, { start: 1, end: -1 });
  return [g.Reshape(sum, g.Concat(g.Shape(X, { end: 2 }), places, { axis: 0 }))];
};

/** The elements of an axis that the places read, from their coordinates [N, places]. */
function tapsOf(g: Builder, coordinates: Value, axis: Axis): Tap[] {
  const { length, attributes } = axis;
  const number = (value: number) => floatLike(g, coordinates, value);
  const upward = g.Add(coordinates, number(1));
  const place = attributes.align_corners
    ? g.Mul(upward, g.Div(g.Sub(length, number(1)), number(2)))
    : g.Div(g.Sub(g.Mul(upward, length), number(1)), number(2));
  if (attributes.mode === "nearest") {
    const nearest = inside(g, g.Round(place), axis);
    return [tap(g, nearest, null, axis)];
  }
  // cubic taps are moved one by one, as in PyTorch and ONNX Runtime
  const position = attributes.mode === "cubic" ? place : inside(g, place, axis);
  const first = g.Floor(position);
  const fraction = g.Sub(position, first);
  const offsets = attributes.mode === "cubic" ? [-1, 0, 1, 2] : [0, 1];
  const weights =
    attributes.mode === "cubic" ? cubicWeights(g, fraction) : [g.Sub(number(1), fraction), fraction];
  return offsets.map((offset, i) =>
    tap(g, offset === 0 ? first : g.Add(first, number(offset)), at(weights, i), axis),
  );
}

/** A tap at an element, or at the one that stands for it outside of the picture: zeros have the weight 0. */
function tap(g: Builder, element: Value, weight: Value | null, axis: Axis): Tap {
  const { length, attributes } = axis;
  const zero = floatLike(g, element, 0);
  const last = g.Sub(length, floatLike(g, element, 1));
  const within = attributes.padding_mode === "reflection" ? inside(g, element, axis) : element;
  const index = g.Cast(g.Min(g.Max(within, zero), last), { to: dataTypeNumbers.int64 });
  if (attributes.padding_mode !== "zeros") return { index, weight };
  const isInside = g.And(g.GreaterOrEqual(element, zero), g.LessOrEqual(element, last));
  return { index, weight: weight ? g.Where(isInside, weight, zero) : castLike(g, isInside, element) };
}

/** A position moved into the picture where padding_mode says so: to the border, or reflected there. */
function inside(g: Builder, position: Value, { length, attributes }: Axis): Value {
  const { padding_mode, align_corners } = attributes;
  if (padding_mode === "zeros") return position;
  const number = (value: number) => floatLike(g, position, value);
  if (padding_mode === "border") return g.Min(g.Max(position, number(0)), g.Sub(length, number(1)));
  const low = number(align_corners ? 0 : -0.5);
  const span = align_corners ? g.Max(g.Sub(length, number(1)), number(1)) : length;
  const distance = g.Abs(g.Sub(position, low));
  const turns = g.Floor(g.Div(distance, span));
  const rest = g.Sub(distance, g.Mul(turns, span));
  const isOdd = g.Greater(g.Sub(turns, g.Mul(g.Floor(g.Div(turns, number(2))), number(2))), number(0));
  return g.Add(g.Where(isOdd, g.Sub(span, rest), rest), low);
}

/** The weights of cubic convolution with a = -0.75 (R. Keys, 1981), for the elements -1, 0, 1 and 2. */
function cubicWeights(g: Builder, fraction: Value): Value[] {
  const a = -0.75;
  const number = (value: number) => floatLike(g, fraction, value);
  const polynomial = (x: Value, coefficients: readonly number[]) =>
    coefficients
      .slice(1)
      .reduce((sum, coefficient) => g.Add(g.Mul(sum, x), number(coefficient)), number(at(coefficients, 0)));
  const near = [a + 2, -(a + 3), 0, 1];
  const far = [a, -5 * a, 8 * a, -4 * a];
  const [behind, beyond] = [g.Sub(number(1), fraction), g.Sub(number(2), fraction)];
  return [
    polynomial(g.Add(fraction, number(1)), far),
    polynomial(fraction, near),
    polynomial(behind, near),
    polynomial(beyond, far),
  ];
}
