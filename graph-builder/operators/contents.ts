import { type Dim, elementCount, productOf, quotientOf, type Shape } from "../types.ts";
import type { Operand } from "./schema.ts";

/**
 * Contents are the elements of a small tensor in row-major order as far as they are known before a run: numbers, and symbols as in
 * shapes. Arithmetic over shapes is followed through them; an operator without a rule makes contents that are not known.
 */
export type Contents = Shape | undefined;

/** Rules for operators that move elements only in a shape that is known without them. */
export function contentsOf(value: Operand): readonly [Contents] {
  return [value.contents];
}

/** A rule for an operator that works element by element; `combine` returns undefined where the result is not known. */
export function elementwiseContents(
  combine: (a: Dim, b: Dim) => Dim | undefined,
): (inputs: readonly [Operand, Operand]) => readonly [Contents] {
  return ([A, B]) => {
    const [a, b] = [A.contents, B.contents];
    // a scalar and a vector are all that shape arithmetic needs
    const isVector = A.shape.length <= 1 && B.shape.length <= 1;
    if (!a || !b || !isVector || (a.length !== b.length && a.length !== 1 && b.length !== 1))
      return [undefined];
    const count = a.length === 0 || b.length === 0 ? 0 : Math.max(a.length, b.length);
    return [complete(Array.from({ length: count }, (_, i) => combine(pick(a, i), pick(b, i))))];
  };
}

/** The list if every element is known. */
export function complete(dims: readonly (Dim | undefined)[]): Contents {
  const known = dims.filter((dim) => dim !== undefined);
  return known.length === dims.length ? known : undefined;
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

/** The sum; a difference and what was taken away are the whole again. */
export const sum = (a: Dim, b: Dim): Dim | undefined => {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0 || b === 0) return a === 0 ? b : a;
  for (const [whole, part] of [[String(a), `-${b}`] as const, [String(b), `-${a}`] as const]) {
    if (whole.endsWith(part)) return whole.slice(0, -part.length);
  }
  const [symbol, number] = typeof a === "string" ? [a, b] : [b, a];
  return isSymbol(symbol) && Number(number) > 0 ? `${symbol}+${number}` : undefined;
};

/** The difference; that of symbols, such as `16*ceil(batch/16)-batch`, is known to `sum` alone. */
export const difference = (a: Dim, b: Dim): Dim | undefined => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (a === b) return 0;
  return typeof a === "string" && isSymbol(b) ? `${a}-${b}` : b === 0 ? a : undefined;
};

export const product = (a: Dim, b: Dim): Dim | undefined =>
  isSigned(a) || isSigned(b) ? undefined : productOf([a, b]);

/** Division of integers; symbols stand for sizes above 0, and (s + b - 1) / b is known as ceil(s / b). */
export const quotient = (a: Dim, b: Dim): Dim | undefined => {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? undefined : Math.trunc(a / b);
  const [, symbol, added] = /^(\w+)\+(\d+)$/.exec(String(a)) ?? [];
  if (symbol && Number(added) + 1 === b) return `ceil(${symbol}/${b})`;
  return isSigned(a) ? undefined : quotientOf(a, b);
};

/** The remainder with the sign of the divisor. */
export const remainder = (a: Dim, b: Dim): Dim | undefined => {
  if (typeof a === "number" && typeof b === "number") return b === 0 ? undefined : ((a % b) + b) % b;
  return isSigned(a) || quotientOf(a, b) === undefined ? undefined : 0;
};

/** 1 or 0; a symbol stands for a size, so it differs from negative numbers. */
export const equality = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return 1;
  if (isSigned(a) || isSigned(b)) return undefined;
  if (typeof a === "number" && typeof b === "number") return 0;
  return Number(a) < 0 || Number(b) < 0 ? 0 : undefined;
};

/** Whether a dimension is one symbol alone. */
function isSymbol(dim: Dim): boolean {
  return /^[a-z_]\w*$/i.test(String(dim));
}

/** Whether a dimension is a difference of symbols, which may be of either sign. */
function isSigned(dim: Dim): boolean {
  return typeof dim === "string" && dim.includes("-");
}

function pick(list: Shape, i: number): Dim {
  return (list.length === 1 ? list[0] : list[i]) ?? 0;
}
