import type { Builder } from "../builder.ts";
import { castLike, dividedBy, elementsOver, floatLike } from "../composites.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { staticDim } from "../operators/inference.ts";
import { tensorOf } from "../tensor.ts";
import type { Lower } from "./lower.ts";

/**
 * loss = -log softmax(scores)[label], times the weight of the class, 0 for ignored labels; log_prob = log
 * softmax(scores), by the given function, over the second axis.
 */
export const crossEntropyLoss =
  (
    logSoftmax: (g: Builder, scores: Value) => Value = (g, scores) => g.LogSoftmax(scores, { axis: 1 }),
  ): Lower<"SoftmaxCrossEntropyLoss"> =>
  (g, { I, optional, attributes, isUsed }) => {
    const logProb = logSoftmax(g, I(0));
    if (!isUsed(0)) return [null, logProb];
    const target = oneHot(g, logProb, I(1));
    const weight = labelWeights(g, target, I(1), optional(2), attributes.ignore_index);
    const picked = g.Neg(g.ReduceSum(masked(g, target, logProb), g.int64([1]), { keepdims: 0 }));
    const losses = weight ? masked(g, weight, g.Mul(picked, weight)) : picked;
    if (attributes.reduction === "none") return [losses, logProb];
    const total = g.ReduceSum(losses, null, { keepdims: 0 });
    if (attributes.reduction === "sum") return [total, logProb];
    return [dividedBy(g, total, totalWeight(g, I(1), logProb, weight)), logProb];
  };

/** dscores = (softmax(scores) - onehot(label)) * weight * dY, divided by the total weight for a mean. */
export const crossEntropyGrad: Lower<"SoftmaxCrossEntropyLossGrad"> = (g, { I, optional, attributes }) => {
  const [dY, logProb, labels] = [I(0), I(1), I(2)];
  const target = oneHot(g, logProb, labels);
  const weight = labelWeights(g, target, labels, optional(3), attributes.ignore_index);
  const scale =
    attributes.reduction === "mean" ? dividedBy(g, dY, totalWeight(g, labels, logProb, weight)) : dY;
  const alongClasses = (value: Value) => (value.shape.length > 0 ? g.Unsqueeze(value, g.int64([1])) : value);
  const difference = g.Sub(g.Exp(logProb), target);
  const weighted = weight ? g.Mul(difference, alongClasses(weight)) : difference;
  return [g.Mul(weighted, alongClasses(scale))];
};

/** A value, and 0 where the mask is 0, also where the value there is infinite or NaN. */
function masked(g: Builder, mask: Value, value: Value): Value {
  return g.Where(g.Cast(mask, { to: dataTypeNumbers.bool }), value, floatLike(g, value, 0));
}

/** 1 at each label's class and 0 elsewhere, in the shape of log_prob [N, C, ...]. */
function oneHot(g: Builder, logProb: Value, labels: Value): Value {
  // ONNX Runtime has a OneHot for labels and a depth of one type alone
  const depth = g.constant(tensorOf(labels.elemType, [staticDim(logProb.shape, 1)]));
  return castLike(g, g.OneHot(labels, depth, g.float([0, 1]), { axis: 1 }), logProb);
}

/**
 * The weight of each label: the weight of its class, or 0 for an ignored label. Returns null where all
 * weights are 1.
 */
function labelWeights(
  g: Builder,
  target: Value,
  labels: Value,
  weights: Value | null,
  ignoreIndex: number | undefined,
): Value | null {
  const classes = weights && g.Reshape(weights, g.int64([1, -1, ...target.shape.slice(2).map(() => 1)]));
  const byClass = classes && g.ReduceSum(g.Mul(target, classes), g.int64([1]), { keepdims: 0 });
  if (ignoreIndex === undefined) return byClass;
  const ignored = g.Cast(g.int64(ignoreIndex), { to: dataTypeNumbers[labels.elemType] });
  const counted = g.Cast(g.Not(g.Equal(labels, ignored)), { to: dataTypeNumbers[target.elemType] });
  return byClass ? g.Mul(byClass, counted) : counted;
}

/**
 * The divisor of a mean: the sum of the weights, or the number of labels where there are no weights. Where no
 * label counts it is 1, so that the loss and its gradient are 0 and not NaN.
 */
function totalWeight(g: Builder, labels: Value, logProb: Value, weight: Value | null): Value {
  if (weight) {
    const total = g.ReduceSum(weight, null, { keepdims: 0 });
    const [zero, one] = [floatLike(g, total, 0), floatLike(g, total, 1)];
    return g.Where(g.Equal(total, zero), one, total);
  }
  const axes = labels.shape.map((_, i) => (i === 0 ? 0 : i + 1));
  return elementsOver(g, logProb, axes);
}
