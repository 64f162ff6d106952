import type { Builder } from "../../builder.ts";
import { elementsOver, floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { meanAxes, summedAxes } from "../../operators/inference.ts";
import type { reductions as operators } from "../../operators/reductions.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of reductions. */
export const reductions: Gradients<typeof operators> = {
  ArgMax: "zero",
  ReduceSum: (g, { I, optional, dY, attributes: { keepdims, noop_with_empty_axes: noop } }) => {
    const axes = summedAxes(I(0), optional(1), noop);
    return [g.Expand(keepdims ? dY : g.Unsqueeze(dY, g.int64(axes)), g.Shape(I(0))), null];
  },
  // dX = dY / n, with n the number of elements in each mean
  ReduceMean: (g, { I, dY, attributes }) => {
    const axes = meanAxes(I(0), attributes.axes);
    const mean = g.Div(overReduced(g, I(0), dY, attributes), elementsOver(g, I(0), axes));
    return [g.Expand(mean, g.Shape(I(0)))];
  },
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

/** Restores the reduced axes of a reduction's output as 1, so that it broadcasts over X. */
function overReduced(
  g: Builder,
  X: Value,
  value: Value,
  { axes, keepdims }: { readonly axes?: readonly number[] | undefined; readonly keepdims: number },
): Value {
  return keepdims ? value : g.Unsqueeze(value, g.int64(meanAxes(X, axes)));
}
