import type { Builder } from "../builder.ts";
import { castLike, floatLike } from "../composites.ts";
import { DRAWN_BITS, drawnNumbers } from "../counter-hash.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { tensorOf } from "../tensor.ts";

/** The numbers that decide what is dropped are whole and below this one. */
const RANGE = 2 ** DRAWN_BITS;

/**
 * Appends what a Dropout computes in training, and its mask: X / (1 - ratio) where a random number is not
 * below the ratio, and 0 elsewhere. The ratio is 1/2 where it is left out. The numbers depend on `base`
 * (`drawBase`) and on the name of the stream. The factors are one value of the graph, so the backward pass
 * multiplies by the same ones.
 */
export function drawnDropout(
  g: Builder,
  [X, ratio]: readonly [X: Value, ratio: Value | null],
  draw: { readonly base: Value; readonly stream: string },
): readonly [Y: Value, mask: Value] {
  const numbers = drawnNumbers(g, draw, X);
  const { bound, factor } = ratio ? limitsOf(g, ratio, X) : limitsOfKnown(g, 0.5, X);
  const isDropped = g.Less(numbers, bound);
  return [g.Mul(X, g.Where(isDropped, floatLike(g, X, 0), factor)), g.Not(isDropped)];
}

interface Limits {
  /** The first number that is kept, int32. */
  readonly bound: Value;
  /** 1 / (1 - ratio), and 0 for a ratio of 1, which drops everything. */
  readonly factor: Value;
}

function limitsOfKnown(g: Builder, ratio: number, X: Value): Limits {
  return {
    bound: g.constant(tensorOf("int32", Math.round(ratio * RANGE))),
    factor: floatLike(g, X, ratio < 1 ? 1 / (1 - ratio) : 0),
  };
}

function limitsOf(g: Builder, ratio: Value, X: Value): Limits {
  const known = ratio.constant?.numbers()[0];
  if (known !== undefined) return limitsOfKnown(g, known, X);
  const share = g.Cast(ratio, { to: dataTypeNumbers.float });
  const kept = g.Sub(g.float(1), share);
  const factor = g.Where(g.Greater(kept, g.float(0)), g.Reciprocal(kept), g.float(0));
  return {
    bound: g.Cast(g.Mul(share, g.float(RANGE)), { to: dataTypeNumbers.int32 }),
    factor: castLike(g, factor, X),
  };
}
