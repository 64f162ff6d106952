import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { castLike, floatLike } from "../../../composites.ts";
import type { Value } from "../../../ir.ts";
import { staticDim } from "../../../operators/inference.ts";
import { appendScan } from "../../../scan.ts";
import type { Propagate } from "../rule.ts";
import type { Activation } from "./activations.ts";

/**
 * One direction of a recurrent layer. G is the number of its gates, and H that of its hidden units. Sequences
 * are [steps, batch, ...], and rows are all steps of all sequences, [steps * batch, ...].
 */
export interface Direction {
  readonly X: Value;
  /** [G H, input] */
  readonly W: Value;
  /** [G H, H] */
  readonly R: Value;
  /** The biases of X's product, then those of the state's, [2 G H]. */
  readonly B: Value | null;
  /** Peepholes of the gates i, o and f, [3 H]. */
  readonly P: Value | null;
  readonly Y: Value;
  /** H and C before the first step, [batch, H]. */
  readonly initial: readonly Value[];
  readonly dY: Value;
  /** The gradients of H and C after the last step, [batch, H]. */
  readonly dLast: readonly Value[];
  /** Whether a step lies within its sequence, bool [steps, batch, 1]; undefined where all do. */
  readonly mask: Value | undefined;
  readonly hidden: number;
  readonly clip: number | undefined;
  readonly isReverse: boolean;
  readonly activations: readonly Activation[];
}

/** The gradients of one direction, in rows. */
export interface CellGradients {
  /** The gradient of X W^T + Wb, [rows, G H]. */
  readonly dP: Value;
  /** The gradient of the state's product with R^T, plus Rb, [rows, G H]. */
  readonly dQ: Value;
  /** [G H, H] */
  readonly dR: () => Value;
  /** The gradients of the initial states, [batch, H]. */
  readonly dInitial: readonly Value[];
  /** The gradient of the peepholes, [3 H]. */
  readonly dPeepholes?: () => Value;
}

/**
 * Appends the backward pass of one direction. Gates work element by element, so their derivatives in all
 * steps are computed outside of the loop, which only multiplies by them.
 */
export type Cell = (g: Builder, direction: Direction, propagate: Propagate) => CellGradients;

/** A sequence as rows. */
export function toRows(g: Builder, sequence: Value): Value {
  return g.Reshape(sequence, g.int64([-1, staticDim(sequence.shape, 2)]));
}

/** Rows as a sequence like X. */
export function toSequence(g: Builder, X: Value, rows: Value): Value {
  const width = g.int64([staticDim(rows.shape, 1)]);
  return g.Reshape(rows, g.Concat(g.Shape(X, { start: 0, end: 2 }), width, { axis: 0 }));
}

/** The columns, or rows, of a matrix in parts of `hidden`. */
export function parts(g: Builder, matrix: Value, hidden: number, axis: number): readonly Value[] {
  const count = staticDim(matrix.shape, axis) / hidden;
  return count === 1 ? [matrix] : g.Split(matrix, g.int64(Array(count).fill(hidden)), { axis });
}

/** The state H before every step, as rows. In a step outside of its sequence it means nothing. */
export function previousStates(g: Builder, { X, Y, initial, mask, isReverse }: Direction): Value {
  const first = at(initial, 0);
  const edge = g.Unsqueeze(first, g.int64([0]));
  if (!isReverse) {
    const others = g.Slice(Y, g.int64([0]), g.int64([-1]), g.int64([0]));
    return toRows(g, g.Concat(edge, others, { axis: 0 }));
  }
  const later = (value: Value) => g.Slice(value, g.int64([1]), g.Shape(X, { end: 1 }), g.int64([0]));
  const others = mask ? g.Where(later(mask), later(Y), first) : later(Y);
  return toRows(g, g.Concat(others, edge, { axis: 0 }));
}

/** The two biases of a layer, [G H] each; null where it has none. */
export function biasesOf(g: Builder, { B, R }: Direction): readonly [Value, Value] | null {
  if (!B) return null;
  const [ofX, ofState] = parts(g, B, staticDim(R.shape, 0), 0);
  return ofX && ofState ? [ofX, ofState] : null;
}

/** X W^T + H R^T with both biases, of all steps at once, as rows. */
export function sumOfProducts(g: Builder, direction: Direction, H: Value): Value {
  const { X, W, R } = direction;
  const biases = biasesOf(g, direction);
  const given = g.Gemm(toRows(g, X), W, biases && g.Add(...biases), { transB: 1 });
  return g.Gemm(H, R, given, { transB: 1 });
}

/** The gradient of a weight from that of its product: both as rows, of all steps at once. */
export function product(g: Builder, dA: Value, read: Value): Value {
  return g.Gemm(dA, read, { transA: 1 });
}

/** An activation of the layer, with the layer's clipping of what it reads. */
export function activated(g: Builder, { activations, clip }: Direction, index: number, X: Value): Value {
  const read = clip ? g.Clip(X, floatLike(g, X, -clip), floatLike(g, X, clip)) : X;
  return at(activations, index)(g, read);
}

/** The derivative of `gate` by `by`, times a factor. */
export function slope(g: Builder, propagate: Propagate, gate: Value, by: Value, factor: Value): Value {
  return at(propagate(g, new Map([[gate, factor]]), [by]), 0);
}

/** Rows with another number where a step lies outside of its sequence. */
export function masked(g: Builder, { mask }: Direction, rows: Value, outside = 0): Value {
  if (!mask) return rows;
  return g.Where(g.Reshape(mask, g.int64([-1, 1])), rows, floatLike(g, rows, outside));
}

/** What a loop back in time does in a step. */
interface BackwardLoop<E extends readonly Value[], C extends readonly Value[], M extends readonly Value[]> {
  /** What every step reads, as rows. */
  readonly rows: E;
  readonly captured: C;
  /**
   * Turns dH, the gradient of the step's H, and dC into those of the states before the step; `made` are
   * gradients that leave the loop, as rows.
   */
  readonly step: (
    b: Builder,
    given: { readonly dH: Value; readonly dC: Value; readonly elements: E; readonly captured: C },
  ) => { readonly states: readonly Value[]; readonly made: M };
}

/**
 * Carries the gradients of the states from the last step to the first. A step outside of its sequence leaves
 * dH as it is; there `step` must return 0 for it, which it does where the derivatives are 0.
 */
export function backInTime<
  const E extends readonly Value[],
  const C extends readonly Value[],
  const M extends readonly Value[],
>(
  g: Builder,
  { X, dY, dLast, mask, isReverse }: Direction,
  { rows, captured, step }: BackwardLoop<E, C, M>,
): { readonly dInitial: readonly Value[]; readonly made: M } {
  const present = mask && castLike(g, mask, dY);
  const around = present ? [g.Mul(dY, present), present] : [dY];
  const direction = isReverse ? 0 : 1;
  const loop = appendScan(g, {
    states: dLast,
    sequences: [...around, ...rows.map((each) => toSequence(g, X, each))],
    captured,
    inputDirections: direction,
    outputDirections: direction,
    step: (b, { states: [later, dC], elements: [own, here, ...others], captured: read }) => {
      if (!later || !own) throw new TypeError("a step reads the gradients of H and Y");
      const dH = b.Add(later, own);
      const elements = (present ? others : [here, ...others]) as readonly Value[] as E;
      const result = step(b, { dH, dC: dC ?? dH, elements, captured: read });
      const [before, ...memory] = result.states;
      if (!present || !here || !before) return result;
      const kept = b.Mul(dH, b.Sub(floatLike(b, here, 1), here));
      return { states: [b.Add(before, kept), ...memory], made: result.made };
    },
  });
  return { dInitial: loop.states, made: loop.made.map((each) => toRows(g, each)) as readonly Value[] as M };
}
