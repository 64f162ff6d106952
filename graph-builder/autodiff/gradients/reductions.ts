import type { Builder } from "../../builder.ts";
import { castLike, elementsOver, floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { meanAxes, summedAxes } from "../../operators/inference.ts";
import type { reductions as operators } from "../../operators/reductions.ts";
import { otherFactors } from "./factors.ts";
import type { Backward, Gradients } from "./rule.ts";

/** The gradients of reductions. */
export const reductions: Gradients<typeof operators> = {
  ArgMax: "zero",
  ArgMin: "zero",
  ReduceSum: (g, { I, optional, dY, attributes: { keepdims, noop_with_empty_axes: noop } }) => {
    const apart = () => g.Unsqueeze(dY, g.int64(summedAxes(I(0), optional(1), noop)));
    return [g.Expand(keepdims ? dY : apart(), g.Shape(I(0))), null];
  },
  // dX = dY / n, with n the number of elements in each mean
  ReduceMean: (g, { I, dY, attributes }) => {
    const axes = meanAxes(I(0), attributes.axes);
    const mean = g.Div(overReduced(g, I(0), dY, attributes), elementsOver(g, I(0), axes));
    return [g.Expand(mean, g.Shape(I(0)))];
  },
  ReduceMax: (g, back) => [reducedExtremum(g, back)],
  ReduceMin: (g, back) => [reducedExtremum(g, back)],
  // dX = dY times the product of the other factors
  ReduceProd: (g, { I, dY, attributes }) => {
    const [X, axes] = [I(0), meanAxes(I(0), attributes.axes)];
    const product = g.ReduceProd(otherFactors.nonZero(g, X), { axes });
    const zeros = g.ReduceSum(otherFactors.isZero(g, X), g.int64(axes));
    return [g.Mul(overReduced(g, X, dY, attributes), otherFactors.of(g, X, product, zeros))];
  },
  // dX = dY * 2X
  ReduceSumSquare: (g, { I, dY, attributes }) => [
    g.Mul(overReduced(g, I(0), dY, attributes), g.Add(I(0), I(0))),
  ],
  // dX = dY * sign(X)
  ReduceL1: (g, { I, dY, attributes }) => [g.Mul(overReduced(g, I(0), dY, attributes), g.Sign(I(0)))],
  // dX = dY / sum(X)
  ReduceLogSum: (g, { I, dY, attributes }) => {
    const sum = g.ReduceSum(I(0), g.int64(meanAxes(I(0), attributes.axes)));
    return [g.Expand(g.Div(overReduced(g, I(0), dY, attributes), sum), g.Shape(I(0)))];
  },
  // the same sum the other way
  CumSum: (g, { I, dY, attributes: { exclusive, reverse } }) => [
    g.CumSum(dY, I(1), { exclusive, reverse: 1 - reverse }),
    null,
  ],
  // dX = dY * X / Y, and 0 where Y is 0
  ReduceL2: (g, { I, O, dY, attributes }) => {
    const share = g.Where(g.Equal(O(0), floatLike(g, dY, 0)), floatLike(g, dY, 0), g.Div(dY, O(0)));
    return [g.Mul(I(0), overReduced(g, I(0), share, attributes))];
  },
  // dX = dY * exp(X - Y)
  ReduceLogSumExp: (g, { I, O, dY, attributes }) => {
    const [Y, dX] = [overReduced(g, I(0), O(0), attributes), overReduced(g, I(0), dY, attributes)];
    return [g.Mul(g.Exp(g.Sub(I(0), Y)), dX)];
  },
};

/** dX = dY / n where X is the extremum, and n elements are equal to it. */
function reducedExtremum(
  g: Builder,
  { I, O, dY, attributes }: Backward<"ReduceMax"> | Backward<"ReduceMin">,
): Value {
  const X = I(0);
  const isExtreme = castLike(g, g.Equal(X, overReduced(g, X, O(0), attributes)), dY);
  const count = g.ReduceSum(isExtreme, g.int64(meanAxes(X, attributes.axes)));
  return g.Mul(isExtreme, g.Div(overReduced(g, X, dY, attributes), count));
}

/** Restores the reduced axes of a reduction's output as 1, so that it broadcasts over X. */
function overReduced(
  g: Builder,
  X: Value,
  value: Value,
  { axes, keepdims }: { readonly axes?: readonly number[] | undefined; readonly keepdims: number },
): Value {
  return keepdims ? value : g.Unsqueeze(value, g.int64(meanAxes(X, axes)));
}
