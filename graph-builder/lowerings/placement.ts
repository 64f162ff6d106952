import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { castLike, floatLike } from "../composites.ts";
import { isNonNegative, productOf } from "../dims.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { constantNumbers, normalAxis, shapeInput, staticDim } from "../operators/inference.ts";
import { ShapeError } from "../operators/schema.ts";
import { type SliceRange, sliceRange, startOf } from "../operators/slicing.ts";
import { isHalfType, type Shape } from "../types.ts";
import type { Lower, Lowering } from "./lower.ts";

/**
 * Adds dY into zeros at the gathered indices, by ScatterElements along the axis with flattened indices; where
 * one known index is gathered, by Pad.
 */
export const gatherGrad: Lower<"GatherGrad"> = (g, { I, attributes }) => {
  const [shape, indices, dY] = [I(0), I(1), I(2)];
  const full = shapeInput(shape);
  const axis = normalAxis(attributes.axis, full.length);
  const alone = full.map((_, i) => (i === axis ? -1 : 1));
  const column = g.Reshape(indices, g.int64(alone));
  const count = productOf(indices.shape);
  const flat = full.map((dim, i) => (i === axis ? count : dim));
  const target = reshapeTarget(flat, axis);
  const isKnown = target.indexOf(-1) === target.lastIndexOf(-1);
  const updates = g.Reshape(dY, isKnown ? g.int64(target) : flattened(g, shape, axis, full.length));
  const size = at(full, axis);
  const [index, ...others] = indices.constant?.numbers() ?? [];
  if (index !== undefined && others.length === 0 && typeof size === "number") {
    const start = index < 0 ? index + size : index;
    return [padAxis(g, updates, axis, start, size - start - 1)];
  }
  const zeros = g.Expand(floatLike(g, dY, 0), shape);
  const places = g.Expand(column, g.Shape(updates));
  return [addedAt(g, zeros, places, updates, axis)];
};

/**
 * Puts dY into zeros at the sliced positions, by Pad: zeros between steps, before and after; a negative step
 * reverses dY. Throws ShapeError for a step other than 1 over a dimension with symbols.
 */
export const sliceGrad: Lower<"SliceGrad"> = (g, { I, optional }) => {
  const full = shapeInput(I(1));
  const [starts, ends] = [shapeInput(I(2)), shapeInput(I(3))];
  const axes = optional(4) ? constantNumbers(I(4), "axes") : starts.map((_, i) => i);
  const steps = optional(5) ? constantNumbers(I(5), "steps") : starts.map(() => 1);
  let result = I(0);
  for (const [i, axis] of axes.entries()) {
    const along = normalAxis(axis, full.length);
    const [size, from, to] = [at(full, along), at(starts, i), at(ends, i)];
    if (typeof size === "number" && typeof from === "number" && typeof to === "number") {
      result = placed(g, result, size, sliceRange(along, size, from, to, at(steps, i)));
    } else if (at(steps, i) === 1) {
      const length = g.Slice(I(1), g.int64([along]), g.int64([along + 1]));
      // starts and ends may be int32
      const entry = (list: Value) => castLike(g, g.Slice(list, g.int64([i]), g.int64([i + 1])), length);
      const start = entry(I(2));
      const isFromEnd = typeof from === "number" && from < 0;
      const isInside = typeof from === "number" ? startOf(size, from) !== undefined : isNonNegative(from);
      result = isInside
        ? placedInRun(g, result, along, isFromEnd ? g.Add(length, start) : start, length)
        : clampedInRun(g, result, along, [start, entry(I(3))], length);
    } else {
      throw new ShapeError(
        `the gradient of a Slice with step ${at(steps, i)} needs a known dimension, not ${size}`,
      );
    }
  }
  return [result];
};

/** dY in zeros along an axis of known size. */
function placed(g: Builder, dY: Value, size: number, { axis, start, step, count }: SliceRange): Value {
  if (count === 0) return padAxis(g, dY, axis, 0, size);
  const forward = step < 0 ? reversed(g, dY, axis) : dY;
  const spread = interleaveZeros(g, forward, axis, Math.abs(step));
  const first = step < 0 ? start + step * (count - 1) : start;
  return padAxis(g, spread, axis, first, size - first - (Math.abs(step) * (count - 1) + 1));
}

/** dY in zeros along an axis whose size, or where dY starts in it, is known only in a run: vectors of one. */
function placedInRun(g: Builder, dY: Value, axis: number, start: Value, size: Value): Value {
  const taken = g.Shape(dY, { start: axis, end: axis + 1 });
  return paddedInRun(g, dY, axis, start, g.Sub(g.Sub(size, start), taken));
}

/**
 * dY in zeros along an axis of which only a run tells where the slice starts: it may count from the end, and
 * from further than the axis reaches.
 */
function clampedInRun(
  g: Builder,
  dY: Value,
  axis: number,
  [start, end]: readonly [start: Value, end: Value],
  size: Value,
): Value {
  const zero = g.int64([0]);
  const inside = (place: Value) => {
    const counted = g.Where(g.Less(place, zero), g.Add(place, size), place);
    return g.Min(g.Max(counted, zero), size);
  };
  const first = inside(start);
  const padded = paddedInRun(g, dY, axis, first, g.Sub(size, g.Max(inside(end), first)));
  // says the sizes, which follow from no pads that only a run tells
  const before = axis > 0 ? [g.Shape(dY, { end: axis })] : [];
  const behind = axis < dY.shape.length - 1 ? [g.Shape(dY, { start: axis + 1 })] : [];
  return g.Reshape(padded, g.Concat(...before, size, ...behind, { axis: 0 }));
}

/** X with as many zeros before and behind an axis as vectors of one say. */
function paddedInRun(g: Builder, X: Value, axis: number, before: Value, after: Value): Value {
  const zeros = (count: number) => (count > 0 ? [g.int64(Array(count).fill(0))] : []);
  const [outer, inner] = [zeros(axis), zeros(X.shape.length - axis - 1)];
  return g.Pad(X, g.Concat(...outer, before, ...inner, ...outer, after, ...inner, { axis: 0 }));
}

/**
 * Adds dY into zeros at the indices of the maxima, which count in the flattened input. Throws Error without a
 * MaxPool.
 */
export const maxPoolGrad: Lower<"MaxPoolGrad"> = (g, { I }) => {
  const X = I(1).producer?.input(0);
  if (!X) throw new Error("the indices of MaxPoolGrad must come from a MaxPool");
  const everything = g.int64([-1]);
  const zeros = g.Reshape(g.Expand(floatLike(g, X, 0), g.Shape(X)), everything);
  const [places, updates] = [g.Reshape(I(1), everything), g.Reshape(I(0), everything)];
  return [g.Reshape(addedAt(g, zeros, places, updates, 0), g.Shape(X))];
};

/** X with updates added to the elements at places along an axis. */
function addedAt(g: Builder, X: Value, places: Value, updates: Value, axis: number): Value {
  const add = (data: Value, terms: Value) =>
    g.ScatterElements(data, places, terms, { axis, reduction: "add" });
  return isHalfType(X.elemType) ? inFloat(g, X, updates, add) : add(X, updates);
}

/**
 * What ONNX Runtime does not reduce in 16 bits on the CPU is reduced in float, where the sum of many terms is
 * more exact too.
 */
export const scatterInFloat = {
  ScatterElements: (g, { I, attributes }) =>
    attributes.reduction !== "none" && isHalfType(I(0).elemType)
      ? [inFloat(g, I(0), I(2), (data, updates) => g.ScatterElements(data, I(1), updates, attributes))]
      : undefined,
  ScatterND: (g, { I, attributes }) =>
    attributes.reduction !== "none" && isHalfType(I(0).elemType)
      ? [inFloat(g, I(0), I(2), (data, updates) => g.ScatterND(data, I(1), updates, attributes))]
      : undefined,
} satisfies Lowering;

function inFloat(
  g: Builder,
  X: Value,
  updates: Value,
  scatter: (data: Value, updates: Value) => Value,
): Value {
  const float = (value: Value) => g.Cast(value, { to: dataTypeNumbers.float });
  return castLike(g, scatter(float(X), float(updates)), X);
}

function reversed(g: Builder, X: Value, axis: number): Value {
  return g.Slice(X, g.int64([-1]), g.int64([-staticDim(X.shape, axis) - 1]), g.int64([axis]), g.int64([-1]));
}

/** Inserts `step - 1` zeros between neighbours along an axis. */
function interleaveZeros(g: Builder, X: Value, axis: number, step: number): Value {
  const count = staticDim(X.shape, axis);
  if (step === 1 || count <= 1) return X;
  const columns = g.Unsqueeze(X, g.int64([axis + 1]));
  const padded = padAxis(g, columns, axis + 1, 0, step - 1);
  const dims = X.shape.map((dim, i) => (i === axis ? count * step : dim));
  const merged = g.Reshape(padded, g.int64(reshapeTarget(dims, axis)));
  return padAxis(g, merged, axis, 0, 1 - step);
}

/**
 * The shape input of a Reshape to `dims`. A symbolic dimension before `axis` becomes 0, which keeps the
 * input's dimension; one behind `axis` becomes -1, which Reshape computes.
 */
function reshapeTarget(dims: Shape, axis: number): number[] {
  return dims.map((dim, i) => (typeof dim === "number" ? dim : i < axis ? 0 : -1));
}

/** A shape with -1 at an axis. */
function flattened(g: Builder, shape: Value, axis: number, rank: number): Value {
  const part = (from: number, to: number) =>
    from < to ? [g.Slice(shape, g.int64([from]), g.int64([to]))] : [];
  return g.Concat(...part(0, axis), g.int64([-1]), ...part(axis + 1, rank), { axis: 0 });
}

function padAxis(g: Builder, X: Value, axis: number, before: number, after: number): Value {
  if (before === 0 && after === 0) return X;
  const pads = Array(2 * X.shape.length).fill(0);
  pads[axis] = before;
  pads[axis + X.shape.length] = after;
  return g.Pad(X, g.int64(pads));
}
