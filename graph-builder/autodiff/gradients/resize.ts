import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import { quotientOf, sameDim } from "../../dims.ts";
import type { Node, Value } from "../../ir.ts";
import { dimAt, staticDim } from "../../operators/inference.ts";
import { resizedAxes } from "../../operators/resizing.ts";
import { tensorOf } from "../../tensor.ts";
import { elementCount, tensorType } from "../../types.ts";
import type { Backward } from "./rule.ts";

/** A Resize whose gradient is computed. */
interface Resized {
  readonly X: Value;
  readonly dY: Value;
  readonly roi: Value | null;
  readonly scales: Value | null;
  readonly sizes: Value | null;
  readonly attributes: Node<"Resize">["attributes"];
  /** The axes that the entries of `scales` and `sizes` are for. */
  readonly axes: readonly number[];
}

/**
 * The gradient of a Resize. In every mode, Resize is linear and works along one axis after the other, so dX
 * is dY times a matrix along each axis. The Resize of an identity matrix gives that matrix: row i is what
 * becomes of a 1 at place i.
 */
export function resizeGradient(g: Builder, { I, optional, dY, attributes }: Backward<"Resize">): Value {
  const X = I(0);
  const resized: Resized = {
    ...{ X, dY, roi: optional(1), scales: optional(2), sizes: optional(3), attributes },
    axes: resizedAxes({ X, attributes }),
  };
  const blocks = blocksOf(resized);
  if (blocks) return sumOfBlocks(g, dY, blocks);
  return resized.axes
    .filter((_, i) => !isKept(resized, i))
    .reduce((gradient, axis) => along(g, gradient, axis, matrixOf(g, resized, axis)), dY);
}

/** Whether an axis keeps its elements. */
function isKept({ X, dY, scales, attributes, axes }: Resized, i: number): boolean {
  if (attributes.coordinate_transformation_mode === "tf_crop_and_resize") return false;
  if (scales) return scales.constant?.numbers()[i] === 1;
  const axis = at(axes, i);
  return sameDim(dimAt(X.shape, axis), dimAt(dY.shape, axis));
}

/** The coordinates and roundings under which a whole scale repeats every element that many times. */
const repeating: Readonly<Record<string, readonly string[]>> = {
  asymmetric: ["floor"],
  half_pixel: ["round_prefer_floor", "round_prefer_ceil"],
  half_pixel_symmetric: ["round_prefer_floor", "round_prefer_ceil"],
  pytorch_half_pixel: ["round_prefer_floor", "round_prefer_ceil"],
};

/** How often each spatial element of pictures is repeated; undefined where Resize does something else. */
function blocksOf({ X, dY, scales, attributes, axes }: Resized): number[] | undefined {
  const { mode, coordinate_transformation_mode: coordinates, nearest_mode } = attributes;
  if (mode !== "nearest" || !repeating[coordinates]?.includes(nearest_mode)) return undefined;
  const given = scales?.constant?.numbers();
  const factors = X.shape.map((dim, axis) => {
    if (given) return given[axes.indexOf(axis)] ?? 1;
    return quotientOf(dimAt(dY.shape, axis), dim);
  });
  const whole = factors.filter((factor) => typeof factor === "number" && Number.isInteger(factor));
  const numbers = whole.map(Number);
  const isPicture = factors.length > 2 && numbers[0] === 1 && numbers[1] === 1;
  return isPicture && numbers.length === factors.length ? numbers.slice(2) : undefined;
}

/** The sum over the places of each spatial block; ONNX Runtime's AveragePool is its fastest. */
function sumOfBlocks(g: Builder, dY: Value, blocks: readonly number[]): Value {
  const mean = g.AveragePool(dY, { kernel_shape: blocks, strides: blocks });
  return g.Mul(mean, floatLike(g, dY, elementCount(blocks)));
}

/** The matrix [in, out] of an axis: the Resize of the rows of an identity matrix. */
function matrixOf(g: Builder, resized: Resized, axis: number): Value {
  const { X, dY, roi, scales, sizes, attributes, axes } = resized;
  const place = axes.indexOf(axis);
  const { axes: _, keep_aspect_ratio_policy: policy, ...rest } = attributes;
  const length = g.Shape(X, { start: axis, end: axis + 1 });
  const identity = g.EyeLike(g.Expand(floatLike(g, X, 0), g.Concat(length, length, { axis: 0 })));
  if (policy !== "stretch") return matrixInOneScale(g, resized, identity, place);
  const entry = (list: Value, i: number) => g.Slice(list, g.int64([i]), g.int64([i + 1]));
  const number = (list: Value, value: number) => g.constant(tensorOf(list.elemType, [value]));
  const region = (list: Value) => {
    const [start, end] = [entry(list, place), entry(list, place + axes.length)];
    return g.Concat(number(list, 0), start, number(list, 1), end, { axis: 0 });
  };
  const inputs = [
    identity,
    roi && region(roi),
    scales && g.Concat(number(scales, 1), entry(scales, place), { axis: 0 }),
    sizes && g.Concat(length, entry(sizes, place), { axis: 0 }),
  ];
  const type = tensorType(X.elemType, [dimAt(X.shape, axis), dimAt(dY.shape, axis)]);
  return g.nodeFrom("Resize", inputs, { ...rest, extrapolation_value: 0 }, undefined, [type]).output(0);
}

/**
 * The matrix where the scale of an axis depends on the sizes of the others: the identity is resized together
 * with the other axes, over which it is constant.
 */
function matrixInOneScale(
  g: Builder,
  { X, roi, sizes, attributes, axes }: Resized,
  identity: Value,
  place: number,
): Value {
  const dims = axes.map((axis) => staticDim(X.shape, axis));
  const length = at(dims, place);
  const rows = g.Reshape(identity, g.int64([length, ...axes.map((_, i) => (i === place ? length : 1))]));
  const basis = g.Expand(rows, g.int64([length, ...dims]));
  const own = { ...attributes, axes: axes.map((_, i) => i + 1), extrapolation_value: 0 };
  const resized = g.Resize(basis, roi, null, sizes, own);
  const others = axes.flatMap((_, i) => (i === place ? [] : [i + 1]));
  const [first, second] = [0, 1].map((value) => g.int64(others.map(() => value)));
  if (!first || !second || others.length === 0) return resized;
  return g.Squeeze(g.Slice(resized, first, second, g.int64(others)), g.int64(others));
}

/** The product of a value with a matrix [in, out] along an axis of `out` elements. */
function along(g: Builder, value: Value, axis: number, matrix: Value): Value {
  const rank = value.shape.length;
  if (axis === rank - 1) return g.MatMul(value, g.Transpose(matrix));
  if (axis === rank - 2) return g.MatMul(matrix, value);
  const behind = g.Shape(value, { start: axis + 1 });
  const before = g.int64(value.shape.slice(0, axis + 1).map(() => 0));
  const rows = g.Reshape(value, g.Concat(before, g.int64([-1]), { axis: 0 }));
  const product = g.MatMul(matrix, rows);
  return g.Reshape(product, g.Concat(before, behind, { axis: 0 }));
}
