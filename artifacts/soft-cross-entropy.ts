import type { Builder, Value } from "../graph-builder/index.ts";

/** The options of a cross-entropy with soft labels. */
export interface SoftCrossEntropy {
  readonly labelSmoothing: number;
  readonly reduction: "mean" | "sum";
  readonly classWeights?: readonly number[] | undefined;
}

/**
 * Cross-entropy of scores and labels float [batch, classes, ...], the shares of every class
 * (torch.nn.CrossEntropyLoss with probabilities): the sum over the classes of
 * -weight ((1 - smoothing) label + smoothing / classes) log softmax, and the mean or sum over all others.
 */
export function softCrossEntropy(
  g: Builder,
  scores: Value,
  labels: Value,
  { labelSmoothing, reduction, classWeights }: SoftCrossEntropy,
): Value {
  const classes = Number(scores.shape[1]);
  const smooth =
    labelSmoothing === 0
      ? labels
      : g.Add(g.Mul(labels, g.float(1 - labelSmoothing)), g.float(labelSmoothing / classes));
  const ofClasses = scores.shape.slice(1).map((_, axis) => (axis === 0 ? classes : 1));
  const weighted = classWeights ? g.Mul(smooth, g.float(classWeights, ofClasses)) : smooth;
  const perLabel = g.Neg(
    g.ReduceSum(g.Mul(weighted, g.LogSoftmax(scores, { axis: 1 })), g.int64([1]), { keepdims: 0 }),
  );
  return reduction === "sum"
    ? g.ReduceSum(perLabel, null, { keepdims: 0 })
    : g.ReduceMean(perLabel, { keepdims: 0 });
}
