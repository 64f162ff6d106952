import { type Dim, DimSymbol, productOf, quotientOf, sameDim } from "../dims.ts";
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
  return [...(knownNumbers(value) ?? unsupported(`${what} must be known when the graph is built`))];
}

/** The shape that a shape input stands for: numbers, and symbols where it is computed from shapes. */
export function shapeInput(value: Operand): Shape {
  return value.contents ?? unsupported("the shape must be known when the graph is built");
}

/**
 * A size that only a run tells, in what an operator infers. The builder puts a symbol in its place that is
 * named after the node, or the size that a file declares.
 */
export const runTimeDim = new DimSymbol("?");

/** `count` sizes that only a run tells. */
export function runTimeDims(count: number): Shape {
  return Array.from({ length: count }, () => runTimeDim);
}

/** How many elements a list has, such as one of axes; it must be known when the graph is built. */
export function lengthOf(list: Operand): number {
  const [length = 1] = list.shape;
  return typeof length === "number"
    ? length
    : unsupported("how many numbers a shape or a list of axes has must be known when the graph is built");
}

/** The elements of a list of sizes; those that only a run tells are `runTimeDim`. */
export function sizesOf(list: Operand): Shape {
  return list.contents ?? runTimeDims(lengthOf(list));
}

/** The numbers of an input, or undefined where only a run tells them. */
export function knownNumbers(value: Operand): readonly number[] | undefined {
  const numbers = value.constant?.numbers() ?? value.contents?.filter((dim) => typeof dim === "number");
  const isWhole = value.constant !== undefined || numbers?.length === value.contents?.length;
  return isWhole ? numbers : undefined;
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
  const isKnown = [...shape, ...dims].every((dim) => typeof dim === "number");
  const isFit = rest >= 0 ? quotientOf(total, known) !== undefined : sameDim(total, known);
  if (isKnown && !isFit) refuse(`[${shape.join(", ")}] cannot take the shape [${target.join(", ")}]`);
  if (rest >= 0)
    dims[rest] = dims.includes(runTimeDim) ? runTimeDim : (quotientOf(total, known) ?? runTimeDim);
  return dims;
}

/** The shape with the given axes reduced to 1, or removed. */
export function reduceShape(shape: Shape, axes: readonly number[], keepdims: number): Shape {
  const reduced = new Set(axes.map((axis) => normalAxis(axis, shape.length)));
  return shape
    .map((dim, i) => (reduced.has(i) ? 1 : dim))
    .filter((_, i) => keepdims === 1 || !reduced.has(i));
}

/**
 * The shape of a reduction whose axes are an input. Where only a run tells them, every dimension of the
 * result is unknown, but for one of size 1, which is 1 after it too.
 */
export function reducedShape(
  data: Operand,
  axes: Operand | null | undefined,
  {
    keepdims,
    noop_with_empty_axes: noop,
  }: { readonly keepdims: number; readonly noop_with_empty_axes: number },
): Shape {
  if (!axes || knownNumbers(axes)) return reduceShape(data.shape, summedAxes(data, axes, noop), keepdims);
  if (keepdims) return data.shape.map((dim) => (dim === 1 ? 1 : runTimeDim));
  return runTimeDims(data.shape.length - lengthOf(axes));
}

/** The axes that a reduction reduces: those given, or all where none are and `noop` is 0. */
export function summedAxes(data: Operand, axes: Operand | null | undefined, noop: number): number[] {
  const given = axes ? constantNumbers(axes, "axes") : [];
  return given.length > 0 || noop === 1 ? given : data.shape.map((_, i) => i);
}
