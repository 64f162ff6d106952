import { at } from "../at.ts";
import { ceilQuotientOf, type Dim, differenceOf, isNonNegative, productOf, sameDim, sumOf } from "../dims.ts";
import { refuse, runTimeDim } from "./inference.ts";

/**
 * Where Slice starts and ends on each axis it names, negative positions counted from the end and all clamped
 * as ONNX says.
 */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Slice's ranges over a dimension of known size. */
export function sliceRange(axis: number, size: number, start: number, end: number, step: number): SliceRange {
  const clamp = (position: number, low: number, high: number) =>
    Math.min(Math.max(position < 0 ? position + size : position, low), high);
  const [from, to] =
    step > 0
      ? [clamp(start, 0, size), clamp(end, 0, size)]
      : [clamp(start, 0, size - 1), clamp(end, -1, size - 1)];
  return { axis, start: from, step, count: Math.max(0, Math.ceil((to - from) / step)) };
}

/** An end that is at least this large means the end of the axis. */
const END = 2 ** 31 - 1;

/**
 * The number of elements that Slice takes from a dimension. A dimension with symbols is taken to reach as far
 * as a start that counts from the front, and as an end that counts from the end.
 */
function slicedDim(size: Dim, start: Dim, end: Dim, step: Dim): Dim {
  if (typeof step !== "number" || start === runTimeDim || end === runTimeDim) return runTimeDim;
  if (step === 0) refuse("a step must not be 0");
  if (typeof size === "number" && typeof start === "number" && typeof end === "number") {
    return sliceRange(0, size, start, end, step).count;
  }
  if (step < 0) return runTimeDim;
  const from = startOf(size, start);
  const to = endOf(size, end);
  if (from === undefined || to === undefined) return runTimeDim;
  const length = differenceOf(to, from);
  return step === 1 ? length : ceilQuotientOf(length, step);
}

/** Whether a position counts from the end: it is below 0 for all sizes of its symbols, none of which is 0. */
function isFromEnd(position: Dim): boolean {
  return typeof position === "number" ? position < 0 : isNonNegative(productOf([-1, position]));
}

/**
 * The start of a slice, counted from the front; undefined where it counts from the end and may be before the
 * first element.
 */
export function startOf(size: Dim, start: Dim): Dim | undefined {
  if (!isFromEnd(start)) return start;
  const position = sumOf(size, start);
  // a dimension is not empty, so it has a last element
  return start === -1 || isNonNegative(position) ? position : undefined;
}

/** The end of a slice, at most the size; undefined where it is not known which of the two is smaller. */
function endOf(size: Dim, end: Dim): Dim | undefined {
  if (typeof end === "number" && end >= END) return size;
  if (isFromEnd(end)) return sumOf(size, end);
  // a dimension is not empty, so it has a first element
  if (sameDim(end, 1) || isNonNegative(differenceOf(size, end))) return end;
  return isNonNegative(differenceOf(end, size)) ? size : undefined;
}

/** Where each axis of a shape is sliced, from the contents of Slice's inputs. */
export function slicedShape(
  shape: readonly Dim[],
  {
    starts,
    ends,
    axes,
    steps,
  }: {
    readonly starts: readonly Dim[];
    readonly ends: readonly Dim[];
    readonly axes: readonly number[];
    readonly steps: readonly Dim[];
  },
): Dim[] {
  if ([starts, ends, steps].some(({ length }) => length !== axes.length)) {
    refuse("starts, ends, axes and steps must be of one length");
  }
  const result = [...shape];
  for (const [i, axis] of axes.entries()) {
    result[axis] = slicedDim(at(shape, axis), at(starts, i), at(ends, i), at(steps, i));
  }
  return result;
}
