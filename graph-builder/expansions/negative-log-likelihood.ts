import type { Builder } from "../builder.ts";
import { castLike, filled, floatLike } from "../composites.ts";
import type { Value } from "../ir.ts";
import { tensorOf } from "../tensor.ts";
import type { Expansion } from "./expansion.ts";

/**
 * loss = -input at the class of the target, times the weight of that class, and 0 for an ignored target. The
 * mean is over the weights; where all targets are ignored it is 0, and not 0 / 0.
 */
export const negativeLogLikelihood: Expansion<"NegativeLogLikelihoodLoss"> = (
  g,
  { I, optional, attributes: { ignore_index: ignored, reduction } },
) => {
  const [input, target, weight] = [I(0), I(1), optional(2)];
  const isIgnored =
    ignored === undefined ? null : g.Equal(target, g.constant(tensorOf(target.elemType, ignored)));
  const unlessIgnored = (value: Value, other: Value) =>
    isIgnored ? g.Where(isIgnored, other, value) : value;
  const zero = floatLike(g, input, 0);
  const classes = unlessIgnored(target, g.constant(tensorOf(target.elemType, 0)));
  const picked = g.GatherElements(input, g.Unsqueeze(classes, g.int64([1])), { axis: 1 });
  const losses = unlessIgnored(g.Neg(g.Squeeze(picked, g.int64([1]))), zero);
  const given = weight ? g.Gather(castLike(g, weight, input), classes) : isIgnored && filled(g, losses, 1);
  const weights = given && unlessIgnored(given, zero);
  const weighted = weight && weights ? g.Mul(losses, weights) : losses;
  if (reduction === "none") return [weighted];
  if (reduction === "sum") return [g.ReduceSum(weighted, null, { keepdims: 0 })];
  if (!weights) return [g.ReduceMean(weighted, { keepdims: 0 })];
  return [g.Div(g.ReduceSum(weighted, null, { keepdims: 0 }), totalOf(g, weights))];
};

/** The sum of the weights, or 1 where it is 0. */
function totalOf(g: Builder, weights: Value): Value {
  const total = g.ReduceSum(weights, null, { keepdims: 0 });
  return g.Where(g.Equal(total, floatLike(g, total, 0)), floatLike(g, total, 1), total);
}
