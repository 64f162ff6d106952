import type { Builder } from "./builder.ts";
import type { Value } from "./ir.ts";
import { dataTypeNumbers } from "./operators/elementwise.ts";
import { elementCount } from "./types.ts";

/** The axes after the batch and the channels. */
export function spatialAxes(X: Value): number[] {
  return X.shape.slice(2).map((_, i) => i + 2);
}

/** How many elements of X lie along the axes, as a scalar of X's type: a constant where the dimensions are numbers. */
export function elementsOver(g: Builder, X: Value, axes: readonly number[]): Value {
  const dims = axes.map((axis) => X.shape[axis < 0 ? axis + X.shape.length : axis] ?? 1);
  const known = g.float(elementCount(dims.filter((dim) => typeof dim === "number")));
  return axes
    .filter((_, i) => typeof dims[i] === "string")
    .map((axis) => g.Cast(g.Gather(g.Shape(X), g.int64(axis)), { to: dataTypeNumbers[X.elemType] }))
    .reduce((product, size) => g.Mul(product, size), known);
}
