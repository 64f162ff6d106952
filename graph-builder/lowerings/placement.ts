import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { floatLike } from "../composites.ts";
import { productOf } from "../dims.ts";
import type { Value } from "../ir.ts";
import { constantNumbers, normalAxis, shapeInput, staticDim } from "../operators/inference.ts";
import { sliceRange } from "../operators/tensors.ts";
import type { Shape } from "../types.ts";
import type { Lower } from "./lower.ts";

/** Adds dY into zeros at the gathered indices, by ScatterElements along the axis with flattened indices. */
export const gatherGrad: Lower<"GatherGrad"> = (g, { I, attributes }) => {
  const [shape, indices, dY] = [I(0), I(1), I(2)];
  const full = shapeInput(shape);
  const axis = normalAxis(attributes.axis, full.length);
  const alone = full.map((_, i) => (i === axis ? -1 : 1));
  const column = g.Reshape(indices, g.int64(alone));
  const count = productOf(indices.shape);
  const flat = full.map((dim, i) => (i === axis ? count : dim));
  const updates = g.Reshape(dY, g.int64(reshapeTarget(flat, axis)));
  const zeros = g.Expand(floatLike(g, dY, 0), shape);
  const places = g.Expand(column, g.Shape(updates));
  return [g.ScatterElements(zeros, places, updates, { axis, reduction: "add" })];
};

/**
 * Puts dY into zeros at the sliced positions, by Pad: zeros between steps, before and after; a negative step
 * reverses dY.
 */
export const sliceGrad: Lower<"SliceGrad"> = (g, { I, optional }) => {
  const full = shapeInput(I(1));
  const [starts, ends] = [constantNumbers(I(2), "starts"), constantNumbers(I(3), "ends")];
  const axes = optional(4) ? constantNumbers(I(4), "axes") : starts.map((_, i) => i);
  const steps = optional(5) ? constantNumbers(I(5), "steps") : starts.map(() => 1);
  let result = I(0);
  for (const [i, axis] of axes.entries()) {
    const along = normalAxis(axis, full.length);
    const size = staticDim(full, along);
    const { start, step, count } = sliceRange(along, size, at(starts, i), at(ends, i), at(steps, i));
    const forward = step < 0 ? reversed(g, result, along) : result;
    const spread = interleaveZeros(g, forward, along, Math.abs(step));
    if (count === 0) {
      result = padAxis(g, result, along, 0, size);
      continue;
    }
    const first = step < 0 ? start + step * (count - 1) : start;
    result = padAxis(g, spread, along, first, size - first - (Math.abs(step) * (count - 1) + 1));
  }
  return [result];
};

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
  return [g.Reshape(g.ScatterElements(zeros, places, updates, { axis: 0, reduction: "add" }), g.Shape(X))];
};

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

function padAxis(g: Builder, X: Value, axis: number, before: number, after: number): Value {
  if (before === 0 && after === 0) return X;
  const pads = Array(2 * X.shape.length).fill(0);
  pads[axis] = before;
  pads[axis + X.shape.length] = after;
  return g.Pad(X, g.int64(pads));
}
