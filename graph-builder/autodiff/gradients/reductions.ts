import type { Builder } from "../../builder.ts";
import { castLike, dividedBy, elementsOver, floatLike, wide } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { knownNumbers, summedAxes } from "../../operators/inference.ts";
import type { reductions as operators } from "../../operators/reductions.ts";
import { otherFactors } from "./factors.ts";
import type { Backward, Gradients } from "./rule.ts";

type Reduction = Exclude<keyof typeof operators, "ArgMax" | "ArgMin" | "CumSum">;

/** The gradients of reductions. */
export const reductions: Gradients<typeof operators> = {
  ArgMax: "zero",
  ArgMin: "zero",
  ReduceSum: (g, back) => [g.Expand(over(g, back, back.dY), g.Shape(back.I(0))), null],
  // dX = dY / n, with n the number of elements in each mean
  ReduceMean: (g, back) => {
    const mean = dividedBy(g, over(g, back, back.dY), countOf(g, back));
    return [g.Expand(mean, g.Shape(back.I(0))), null];
  },
  ReduceMax: (g, back) => [reducedExtremum(g, back), null],
  ReduceMin: (g, back) => [reducedExtremum(g, back), null],
  // dX = dY times the product of the other factors
  ReduceProd: (g, back) => {
    const X = back.I(0);
    const factors = otherFactors.nonZero(g, X);
    const product = productOver(g, back, factors);
    const zeros = sumOver(g, back, otherFactors.isZero(g, X));
    return [g.Mul(over(g, back, back.dY), otherFactors.of(g, X, product, zeros)), null];
  },
  // dX = dY * 2X
  ReduceSumSquare: (g, back) => [g.Mul(over(g, back, back.dY), g.Add(back.I(0), back.I(0))), null],
  // dX = dY * sign(X)
  ReduceL1: (g, back) => [g.Mul(over(g, back, back.dY), g.Sign(back.I(0))), null],
  // dX = dY / sum(X)
  ReduceLogSum: (g, back) => {
    const sum = sumOver(g, back, back.I(0));
    return [g.Expand(g.Div(over(g, back, back.dY), sum), g.Shape(back.I(0))), null];
  },
  // the same sum the other way
  CumSum: (g, { I, dY, attributes: { exclusive, reverse } }) => [
    g.CumSum(dY, I(1), { exclusive, reverse: 1 - reverse }),
    null,
  ],
  // dX = dY * X / Y, and 0 where Y is 0
  ReduceL2: (g, back) => {
    const [Y, dY] = [back.O(0), back.dY];
    const share = g.Where(g.Equal(Y, floatLike(g, dY, 0)), floatLike(g, dY, 0), g.Div(dY, Y));
    return [g.Mul(back.I(0), over(g, back, share)), null];
  },
  // dX = dY * exp(X - Y)
  ReduceLogSumExp: (g, back) => {
    const [Y, dX] = [over(g, back, back.O(0)), over(g, back, back.dY)];
    return [g.Mul(g.Exp(g.Sub(back.I(0), Y)), dX), null];
  },
};

/** The axes that only a run tells; null where they are known. */
function axesInRun({ optional }: Backward<Reduction>): Value | null {
  const axes = optional(1);
  return axes && !knownNumbers(axes) ? axes : null;
}

/** The axes that are reduced, where they are known. */
function knownAxes({ I, optional, attributes }: Backward<Reduction>): readonly number[] {
  const axes = optional(1);
  const listed = "axes" in attributes ? attributes.axes : undefined;
  if (!axes && listed?.length) return listed;
  return summedAxes(I(0), axes, attributes.noop_with_empty_axes);
}

/** dX = dY / n where X is the extremum, and n elements are equal to it. */
function reducedExtremum(g: Builder, back: Backward<"ReduceMax"> | Backward<"ReduceMin">): Value {
  const X = wide(g, back.I(0));
  const isExtreme = castLike(g, g.Equal(X, extremumOf(g, back, X)), back.dY);
  const count = sumOver(g, back, isExtreme);
  return g.Mul(isExtreme, g.Div(over(g, back, back.dY), count));
}

/** The extremum over the reduced axes, in the type of `X`, so that it broadcasts over X. */
function extremumOf(g: Builder, back: Backward<"ReduceMax"> | Backward<"ReduceMin">, X: Value): Value {
  if (X === back.I(0)) return over(g, back, back.O(0));
  return g.node(back.node.opType, [X, back.optional(1)], { ...back.attributes, keepdims: 1 }).output(0);
}

/** The sum over the reduced axes, which stay as 1. */
function sumOver(g: Builder, back: Backward<Reduction>, value: Value): Value {
  const axes = axesInRun(back) ?? g.int64(knownAxes(back));
  return g.ReduceSum(value, axes, { noop_with_empty_axes: back.attributes.noop_with_empty_axes });
}

/** The product over the reduced axes, which stay as 1. */
function productOver(g: Builder, back: Backward<Reduction>, value: Value): Value {
  const axes = axesInRun(back);
  const { noop_with_empty_axes } = back.attributes;
  if (axes) return g.ReduceProd(value, axes, { noop_with_empty_axes });
  const known = knownAxes(back);
  return known.length === 0 ? value : g.ReduceProd(value, { axes: known });
}

/** How many elements each element of the result reduces: a float where X is float16. */
function countOf(g: Builder, back: Backward<Reduction>): Value {
  const X = back.I(0);
  if (!axesInRun(back)) return elementsOver(g, X, knownAxes(back));
  const count = g.Div(g.Size(X), g.Size(back.O(0)));
  return g.Cast(count, { to: dataTypeNumbers[X.elemType === "float16" ? "float" : X.elemType] });
}

/**
 * Restores the reduced axes of a reduction's output as 1, so that it broadcasts over X; where only a run
 * tells the axes, it is repeated along them.
 */
function over(g: Builder, back: Backward<Reduction>, value: Value): Value {
  const { keepdims } = back.attributes;
  const axes = axesInRun(back);
  if (!axes) return keepdims ? value : g.Unsqueeze(value, g.int64(knownAxes(back)));
  return g.Expand(keepdims ? value : g.Unsqueeze(value, axes), g.Shape(back.I(0)));
}
