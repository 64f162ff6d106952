import { at } from "../at.ts";
import {
  ceilQuotientOf,
  type Dim,
  differenceOf,
  isNonNegative,
  quotientOf,
  sameDim,
  sumOf,
} from "../dims.ts";
import { float16Bits, float16Value } from "../tensor.ts";
import { type DataType, elementCount, integerTypes, type Shape } from "../types.ts";
import type { Operand } from "./schema.ts";

/**
 * Contents are the elements of a small tensor in row-major order as far as they are known before a run:
 * numbers, and symbols as in shapes. Arithmetic over shapes is followed through them; an operator without a
 * rule makes contents that are not known.
 */
export type Contents = Shape | undefined;

/** Rules for operators that move elements only in a shape that is known without them. */
export function contentsOf(value: Operand): readonly [Contents] {
  return [value.contents];
}

/**
 * A rule for an operator that works element by element; `combine` returns undefined where the result is not
 * known.
 */
export function elementwiseContents(
  combine: (a: Dim, b: Dim) => Dim | undefined,
): (inputs: readonly [Operand, Operand]) => readonly [Contents] {
  return ([A, B]) => {
    const [a, b] = [A.contents, B.contents];
    if (!a || !b || !areVectors(A, B) || (a.length !== b.length && a.length !== 1 && b.length !== 1))
      return [undefined];
    const count = a.length === 0 || b.length === 0 ? 0 : Math.max(a.length, b.length);
    return [complete(Array.from({ length: count }, (_, i) => combine(pick(a, i), pick(b, i))))];
  };
}

/** Whether values have one axis or none, which is all that shape arithmetic needs. */
export function areVectors(...values: readonly Operand[]): boolean {
  return values.every(({ shape }) => shape.length <= 1);
}

/** The list if every element is known. */
export function complete(dims: readonly (Dim | undefined)[]): Contents {
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? known : undefined;
}

/** The elements in another type. Whether a symbol is 0, and so false, is not known. */
export function castContents({ contents }: Operand, elemType: DataType): Contents {
  const ofSymbol = (dim: Dim) => (elemType === "bool" ? undefined : dim);
  const cast = (dim: Dim) => (typeof dim === "number" ? castNumber(dim, elemType) : ofSymbol(dim));
  return contents && complete(contents.map(cast));
}

/**
 * A number in another type: a truth value is 1 or 0, a whole number is rounded towards 0, and a float to the
 * nearest of its type. Undefined where the type does not hold it, or is not followed.
 */
function castNumber(number: number, elemType: DataType): number | undefined {
  if (integerTypes.has(elemType)) return wholeNumber(number, elemType);
  if (elemType === "bool") return Number(number !== 0);
  if (elemType === "float16") return float16Value(float16Bits(number));
  if (elemType === "float") return Math.fround(number);
  return elemType === "double" ? number : undefined;
}

function wholeNumber(number: number, elemType: DataType): number | undefined {
  const [bits, whole] = [Number(/\d+/.exec(elemType)?.[0]), Math.trunc(number)];
  const [low, high] = elemType.startsWith("u") ? [0, 2 ** bits] : [-(2 ** (bits - 1)), 2 ** (bits - 1)];
  // the largest int64 is 2^63 as a number here
  const isHeld = whole >= low && (whole < high || (bits === 64 && whole === high));
  return isHeld ? whole : undefined;
}

/** The elements of tensors joined along an axis. */
export function joined(values: readonly Operand[], axis: number): Contents {
  const leading = values[0]?.shape.slice(0, axis) ?? [];
  const parts = values.flatMap(({ contents }) => (contents ? [contents] : []));
  if (parts.length < values.length || !leading.every((dim) => typeof dim === "number")) return undefined;
  const rows = elementCount(leading);
  const rowOf = (part: Shape, row: number) =>
    part.slice((row * part.length) / rows, ((row + 1) * part.length) / rows);
  return Array.from({ length: rows }, (_, row) => parts.flatMap((part) => rowOf(part, row))).flat();
}

/** As many copies of an element as a shape has places. */
export function repeated(element: Dim | undefined, shape: Shape): Contents {
  const isKnown = shape.every((dim) => typeof dim === "number");
  if (element === undefined || !isKnown || elementCount(shape) > 64) return undefined;
  return Array.from({ length: elementCount(shape) }, () => element);
}

/**
 * ONNX's division of integers, which rounds towards 0. What does not divide is known as `ceil(a/b)` where it
 * is written `(a + b - 1) / b` with an `a` that is not negative.
 */
export function quotient(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? undefined : Math.trunc(a / b);
  const exact = quotientOf(a, b);
  if (exact !== undefined || typeof b !== "number" || b < 1) return exact;
  const dividend = differenceOf(a, b - 1);
  return isNonNegative(dividend) ? ceilQuotientOf(dividend, b) : undefined;
}

/** The remainder with the sign of the divisor. */
export function remainder(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? undefined : ((a % b) + b) % b;
  return quotientOf(a, b) === undefined ? undefined : 0;
}

/**
 * 1 or 0. Two dimensions differ for certain where one is larger by 1 or more for all sizes of their symbols.
 */
export function equality(a: Dim, b: Dim): Dim | undefined {
  if (sameDim(a, b)) return 1;
  if (typeof a === "number" && typeof b === "number") return 0;
  const isLarger = [differenceOf(a, b), differenceOf(b, a)].some((dim) => isNonNegative(sumOf(dim, -1)));
  return isLarger ? 0 : undefined;
}

function pick(list: Shape, i: number): Dim {
  return at(list, list.length === 1 ? 0 : i);
}
