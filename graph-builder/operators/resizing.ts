import { at } from "../at.ts";
import { type Dim, productOf, quotientOf } from "../dims.ts";
import type { Shape } from "../types.ts";
import { dimAt, normalAxis, refuse, runTimeDim, sizesOf } from "./inference.ts";
import type { Operand } from "./schema.ts";

/** What decides the sizes that a Resize makes. */
export interface Resizing {
  readonly X: Operand;
  readonly scales: Operand | null;
  readonly sizes: Operand | null;
  readonly attributes: {
    readonly axes?: readonly number[] | undefined;
    readonly keep_aspect_ratio_policy: string;
  };
}

const policies: ReadonlySet<string> = new Set(["stretch", "not_larger", "not_smaller"]);

/** The axes that the entries of `scales` and `sizes` are for: those given, or all. */
export function resizedAxes({ X, attributes: { axes } }: Pick<Resizing, "X" | "attributes">): number[] {
  const rank = X.shape.length;
  return axes ? axes.map((axis) => normalAxis(axis, rank)) : X.shape.map((_, i) => i);
}

/**
 * The shape that Resize makes: `floor(dimension * scale)`, or `sizes`, which `keep_aspect_ratio_policy` may
 * make smaller or larger so that all axes have one scale.
 */
export function resizedShape(resizing: Resizing): Shape {
  const { X, scales, sizes, attributes } = resizing;
  const { keep_aspect_ratio_policy: policy } = attributes;
  if (!policies.has(policy)) refuse(`keep_aspect_ratio_policy ${policy} is not known`);
  if (!scales === !sizes) refuse("needs either scales or sizes");
  const axes = resizedAxes(resizing);
  const given = sizesOf(sizes ?? scales ?? X);
  if (given.length !== axes.length) refuse(`${axes.length} axes have ${given.length} scales or sizes`);
  const dims = axes.map((axis) => dimAt(X.shape, axis));
  const resized = scales
    ? dims.map((dim, i) => scaledDim(dim, at(given, i)))
    : policy === "stretch"
      ? given
      : inOneScale(dims, given, policy);
  return X.shape.map((dim, axis) => (axes.includes(axis) ? at(resized, axes.indexOf(axis)) : dim));
}

/** ONNX Runtime multiplies in float32. */
function scaledDim(dim: Dim, scale: Dim): Dim {
  if (typeof scale !== "number") return runTimeDim;
  if (!(scale > 0)) refuse(`scale ${scale} is not above 0`);
  if (typeof dim === "number") return Math.floor(Math.fround(Math.fround(scale) * dim));
  if (Number.isInteger(scale)) return productOf([dim, scale]);
  const divisor = 1 / scale;
  const part = Number.isInteger(divisor) ? quotientOf(dim, divisor) : undefined;
  return part ?? runTimeDim;
}

/** All axes times the smallest or the largest of the scales that `sizes` stands for. */
function inOneScale(dims: Shape, sizes: Shape, policy: string): Shape {
  const scales = dims.map((dim, i) => Number(at(sizes, i)) / Number(dim));
  if (scales.some(Number.isNaN)) return dims.map(() => runTimeDim);
  const scale = policy === "not_larger" ? Math.min(...scales) : Math.max(...scales);
  return dims.map((dim) => Math.floor(Number(dim) * scale + 0.5));
}
