import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { knownNumbers, normalAxis, refuse } from "../../operators/inference.ts";
import { elementCount, type Shape } from "../../types.ts";

/** A value with one of its axes between all that is before it and all that is behind it. */
interface Folded {
  /** [before, size of the axis, behind], and the axes that are kept. */
  readonly value: Value;
  /** Gives a value of such a shape, with any size of the axis, the axes before and behind it again. */
  readonly unfold: (value: Value) => Value;
}

/**
 * Folds a value so that what is done along an axis is done along axis 1, also where only a run tells which
 * axis it is. The last `kept` axes stay as they are. Throws ShapeError where the axis is one of them.
 */
export function foldAround(g: Builder, X: Value, axis: Value, kept = 0): Folded {
  const { shape } = X;
  const rank = shape.length - kept;
  const known = knownNumbers(axis)?.[0];
  const place = known === undefined ? undefined : normalAxis(known, shape.length);
  if (place !== undefined && place >= rank) return refuse(`axis ${place} is not one of its first ${rank}`);
  const first = place === undefined ? placeInRun(g, axis, shape.length) : g.int64([place]);
  const next = place === undefined ? g.Add(first, g.int64([1])) : g.int64([place + 1]);
  const sizes = g.Shape(X, { end: rank });
  const [before, behind] = [g.Slice(sizes, g.int64([0]), first), g.Slice(sizes, next, g.int64([rank]))];
  const outer = product(g, before, place === undefined ? undefined : shape.slice(0, place));
  const inner = product(g, behind, place === undefined ? undefined : shape.slice(place + 1, rank));
  const tail = (value: Value, from: number) => (kept > 0 ? [g.Shape(value, { start: from })] : []);
  const along = place === undefined ? g.Gather(sizes, first) : g.Slice(sizes, first, next);
  const isAlong = () => g.Equal(g.int64(shape.slice(0, rank).map((_, i) => i)), first);
  return {
    value: g.Reshape(X, g.Concat(outer, along, inner, ...tail(X, rank), { axis: 0 })),
    unfold: (value) => {
      const size = g.Shape(value, { start: 1, end: 2 });
      const whole = place === undefined ? [g.Where(isAlong(), size, sizes)] : [before, size, behind];
      return g.Reshape(value, g.Concat(...whole, ...tail(value, 3), { axis: 0 }));
    },
  };
}

/** The number of an axis, counted from the front, as a list. */
function placeInRun(g: Builder, axis: Value, rank: number): Value {
  const count = g.int64([rank]);
  const listed = g.Reshape(g.Cast(axis, { to: dataTypeNumbers.int64 }), g.int64([1]));
  return g.Mod(g.Add(listed, count), count);
}

/** The product of some sizes, as a list; a constant where all are known. */
function product(g: Builder, sizes: Value, dims: Shape | undefined): Value {
  if (dims?.every((dim) => typeof dim === "number")) return g.int64([elementCount(dims)]);
  return g.ReduceProd(g.Concat(g.int64([1]), sizes, { axis: 0 }), { axes: [0] });
}
