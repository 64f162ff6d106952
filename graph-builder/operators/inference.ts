import { type Dim, productOf, quotientOf, sameDim } from "../dims.ts";
import { formatType, type Shape, type TensorType, tensorType } from "../types.ts";
import { type Operand, ShapeError, UnsupportedError } from "./schema.ts";

/** Refuses inputs with a sentence. */
export function refuse(message: string): never {
  throw new ShapeError(message);
}

/** Refuses what may be valid, but is not known before a run, or is not covered. */
export function unsupported(message: string): never {
  throw new UnsupportedError(message);
}

/** The type of the first input: what elementwise operators return. */
export function sameAs(value: Operand): readonly [TensorType] {
  return [value.tensor];
}

/** The shape that ONNX's multidirectional broadcasting gives. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[i - rank + shape.length] ?? 1;
      if (dim === 1 || sameDim(dim, result)) continue;
      if (!mayEqual(dim, result) && result !== 1)
        refuse(`shapes ${shapes.map((s) => `[${s.join(", ")}]`).join(" and ")} do not broadcast`);
      // one size can have several names in a file, and a number is the most exact of them
      if (result === 1 || typeof dim === "number") result = dim;
    }
    return result;
  });
}

/** The type of an elementwise operator over broadcast inputs of one element type. */
export function broadcast(...values: readonly Operand[]): readonly [TensorType] {
  const elemType = commonElemType(...values);
  return [tensorType(elemType, broadcastShapes(...values.map((value) => value.shape)))];
}

/** The type of a comparison: bool over the broadcast shape. */
export function comparison(a: Operand, b: Operand): readonly [TensorType] {
  return [tensorType("bool", broadcast(a, b)[0].shape)];
}

/** The one element type of all values; refuses a mixture. */
export function commonElemType(...values: readonly Operand[]): TensorType["elemType"] {
  const [first, ...rest] = values;
  if (first === undefined) return refuse("needs at least one input");
  for (const value of [first, ...rest]) {
    if (value.tensor.elemType !== first.tensor.elemType) {
      refuse(`inputs must be of one type, not ${values.map((v) => formatType(v.type)).join(" and ")}`);
    }
  }
  return first.elemType;
}

/** An axis counted from the front; refuses one outside the rank. */
export function normalAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) refuse(`axis ${axis} is outside rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** The numbers of an input that must be known when the graph is built: shapes, axes, pads. */
export function constantNumbers(value: Operand, what: string): number[] {
  const numbers = value.constant?.numbers() ?? value.contents?.filter((dim) => typeof dim === "number");
  const isWhole = value.constant !== undefined || numbers?.length === value.contents?.length;
  return numbers && isWhole ? [...numbers] : unsupported(`${what} must be known when the graph is built`);
}

/** The shape that a shape input stands for: numbers, and symbols where it is computed from shapes. */
export function shapeInput(value: Operand): Shape {
  return value.contents ?? unsupported("the shape must be known when the graph is built");
}

/**
 * Whether two dimensions can be the same: files give one size several names, so only numbers differ for
 * certain.
 */
export function mayEqual(a: Dim, b: Dim): boolean {
  return a === b || typeof a !== "number" || typeof b !== "number";
}

/** Refuses two values whose shapes differ. */
export function expectSame(a: Operand, b: Operand): void {
  if (a.shape.length !== b.shape.length || !a.shape.every((dim, i) => mayEqual(dim, dimAt(b.shape, i))))
    refuse(`shapes [${a.shape.join(", ")}] and [${b.shape.join(", ")}] differ`);
}

/** The dimension at an axis. */
export function dimAt(shape: Shape, axis: number): Dim {
  return shape[axis] ?? refuse(`shape [${shape.join(", ")}] has no axis ${axis}`);
}

/** A dimension that must be a number. */
export function staticDim(shape: Shape, axis: number): number {
  const dim = dimAt(shape, axis);
  return typeof dim === "number"
    ? dim
    : unsupported(`axis ${axis} of [${shape.join(", ")}] must be a number`);
}

/**
 * The shape after Reshape to `target`, where -1 is what is left over, and 0 keeps a dimension unless
 * `allowZero` says that it is a size.
 */
export function reshapeTo(shape: Shape, target: Shape, allowZero = false): Shape {
  const dims: Dim[] = target.map((dim, i) => (dim === 0 && !allowZero ? dimAt(shape, i) : dim));
  const rest = dims.indexOf(-1);
  if (rest !== dims.lastIndexOf(-1)) refuse(`[${target.join(", ")}] has more than one -1`);
  if (rest >= 0 && allowZero && target.includes(0)) refuse(`[${target.join(", ")}] has both 0 and -1`);
  const total = productOf(shape);
  const known = productOf(dims.filter((dim) => dim !== -1));
  if (rest >= 0) dims[rest] = quotientOf(total, known) ?? refuseReshape(shape, target);
  else if (!sameDim(total, known)) refuseReshape(shape, target);
  return dims;
}

function refuseReshape(shape: Shape, target: Shape): never {
  const isKnown = [...shape, ...target].every((dim) => typeof dim === "number");
  const message = `[${shape.join(", ")}] cannot take the shape [${target.join(", ")}]`;
  return isKnown ? refuse(message) : unsupported(message);
}

/** The shape with the given axes reduced to 1, or removed. */
export function reduceShape(shape: Shape, axes: readonly number[], keepdims: number): Shape {
  const reduced = new Set(axes.map((axis) => normalAxis(axis, shape.length)));
  return shape
    .map((dim, i) => (reduced.has(i) ? 1 : dim))
    .filter((_, i) => keepdims === 1 || !reduced.has(i));
}

/** The axes that ReduceMean reduces: those given, or all where none are. */
export function meanAxes(data: Operand, axes: readonly number[] = []): readonly number[] {
  return axes.length > 0 ? axes : data.shape.map((_, i) => i);
}

/** The axes that ReduceSum reduces: those given, or all where none are and `noop` is 0. */
export function summedAxes(data: Operand, axes: Operand | null | undefined, noop: number): number[] {
  const given = axes ? constantNumbers(axes, "axes") : [];
  return given.length > 0 || noop === 1 ? given : data.shape.map((_, i) => i);
}
