import { at } from "./at.ts";
import type { Builder } from "./builder.ts";
import { differenceOf, sameDim } from "./dims.ts";
import type { Value } from "./ir.ts";
import { dataTypeNumbers } from "./operators/elementwise.ts";
import { dimAt, mayEqual, normalAxis } from "./operators/inference.ts";
import { tensorOf } from "./tensor.ts";
import { type DataType, elementCount, isHalfType, type Shape } from "./types.ts";

/** The axes after the batch and the channels. */
export function spatialAxes(X: Value): number[] {
  return X.shape.slice(2).map((_, i) => i + 2);
}

/**
 * How many elements of X lie along the axes, as a scalar of `elemType`, by default X's type, or float for
 * float16: a constant where all is known.
 */
export function elementsOver(
  g: Builder,
  X: Value,
  axes: readonly number[],
  elemType: DataType = X.elemType === "float16" ? "float" : X.elemType,
): Value {
  const dims = axes.map((axis) => dimAt(X.shape, normalAxis(axis, X.shape.length)));
  const known = g.constant(tensorOf(elemType, elementCount(dims.filter((dim) => typeof dim === "number"))));
  const to = dataTypeNumbers[elemType];
  return axes
    .filter((_, i) => typeof dims[i] !== "number")
    .map((axis) => g.Cast(g.Gather(g.Shape(X), g.int64(axis)), { to }))
    .reduce((product, size) => g.Mul(product, size), known);
}

/**
 * A value divided by a count, which is a float where the value is float16: that holds no count above 65,504,
 * so the value is multiplied by 1 / count.
 */
export function dividedBy(g: Builder, value: Value, count: Value): Value {
  if (count.elemType === value.elemType) return g.Div(value, count);
  return g.Mul(value, castLike(g, g.Reciprocal(count), value));
}

/** The size of an axis of X as an int64 scalar. */
export function sizeAt(g: Builder, X: Value, axis: number): Value {
  return g.Gather(g.Shape(X), g.int64(axis));
}

/**
 * Pads X with zeros, or cuts it, at the end of its spatial axes, to spatial dimensions that may be symbols.
 * `target` computes them as int64 where they are not all known.
 */
export function fitSpatial(g: Builder, X: Value, dims: Shape, target: () => Value): Value {
  const spatial = X.shape.slice(2);
  if (spatial.every((dim, i) => sameDim(dim, at(dims, i)))) return X;
  const missing = spatial.map((dim, i) => differenceOf(at(dims, i), dim));
  const before = X.shape.map(() => 0);
  if (missing.every((dim) => typeof dim === "number"))
    return g.Pad(X, g.int64([...before, 0, 0, ...missing]));
  const after = g.Sub(target(), g.Shape(X, { start: 2 }));
  return g.Pad(X, g.Concat(g.int64([...before, 0, 0]), after, { axis: 0 }));
}

/** Sums a gradient over the axes along which its value was broadcast. */
export function unbroadcast(g: Builder, gradient: Value, value: Value): Value {
  const extra = gradient.shape.length - value.shape.length;
  const leading = gradient.shape.slice(0, Math.max(0, extra)).map((_, i) => i);
  const summed = leading.length > 0 ? g.ReduceSum(gradient, g.int64(leading), { keepdims: 0 }) : gradient;
  const stretched = value.shape.flatMap((dim, i) => (dim === 1 && summed.shape[i] !== 1 ? [i] : []));
  const known = stretched.length > 0 ? g.ReduceSum(summed, g.int64(stretched), { keepdims: 1 }) : summed;
  const isSame = value.shape.every((dim, i) => known.shape[i] !== undefined && sameDim(dim, known.shape[i]));
  const isWrong =
    known.shape.length !== value.shape.length ||
    value.shape.some((dim, i) => !mayEqual(dim, at(known.shape, i)));
  return isSame || isWrong ? known : unbroadcastInRun(g, known, value);
}

/**
 * The sum over the axes along which a value of size 1 was broadcast, where only a run tells which sizes
 * are 1.
 */
function unbroadcastInRun(g: Builder, gradient: Value, value: Value): Value {
  const mayDiffer = value.shape.some(
    (dim, i) => typeof dim !== "number" && !sameDim(dim, at(gradient.shape, i)),
  );
  if (!mayDiffer) return g.Expand(gradient, g.Shape(value));
  const axes = g.Squeeze(g.NonZero(g.Sub(g.Shape(gradient), g.Shape(value))), g.int64([0]));
  const sum = g.ReduceSum(gradient, axes, { keepdims: 1, noop_with_empty_axes: 1 });
  // not a Reshape: ONNX Runtime 1.30 fails to join two that follow each other
  return g.Expand(sum, g.Shape(value));
}

/** A scalar constant of a value's element type, for any type that has numbers. */
export function floatLike(g: Builder, { elemType }: Value, value: number): Value {
  return g.constant(tensorOf(elemType, value));
}

/** A number in the type and shape of a value. */
export function filled(g: Builder, value: Value, number: number): Value {
  return g.Expand(floatLike(g, value, number), g.Shape(value));
}

/** A value in the element type of another: the same value where the types are equal. */
export function castLike(g: Builder, value: Value, { elemType }: Value): Value {
  return value.elemType === elemType ? value : g.Cast(value, { to: dataTypeNumbers[elemType] });
}

/**
 * A value of 16 bits as float, another one as it is. A gradient that compares values with the one that was
 * chosen among them chooses anew among these: on the CPU, ONNX Runtime computes operators of 16 bits in float
 * and rounds what some nodes read, so that the value that was chosen may equal none of them.
 */
export function wide(g: Builder, value: Value): Value {
  return isHalfType(value.elemType) ? g.Cast(value, { to: dataTypeNumbers.float }) : value;
}
