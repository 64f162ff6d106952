import type { Builder, Value } from "../../graph-builder/index.ts";
import { dataTypeNumbers } from "../../graph-builder/operators/elementwise.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { integers, normal, positive } from "./random-tensor.ts";

const labels = () => integers([3, 0, 1], ["batch"]);
const pixels = () => integers([2, 0, -7, 1, 1, -7, 0, 2, 2, 1, 0, 1], ["batch", 2, 2]);
const reductions = ["mean", "sum", "none"] as const;

const negativeLogLikelihood: readonly OperatorCase[] = reductions.flatMap((reduction) => [
  of(
    "NegativeLogLikelihoodLoss",
    reduction,
    { X: normal(["batch", 4]), labels: labels() },
    (g, { X, labels }) => g.NegativeLogLikelihoodLoss(X, labels, { reduction }),
  ),
  of(
    "NegativeLogLikelihoodLoss",
    `${reduction}, weights`,
    { X: normal(["batch", 4]), labels: labels(), w: positive([4]) },
    (g, { X, labels, w }) => g.NegativeLogLikelihoodLoss(X, labels, w, { reduction }),
  ),
  of(
    "NegativeLogLikelihoodLoss",
    `${reduction}, pixels, weights, ignore_index that is no class`,
    { X: normal(["batch", 3, 2, 2]), labels: pixels(), w: positive([3]) },
    (g, { X, labels, w }) => g.NegativeLogLikelihoodLoss(X, labels, w, { reduction, ignore_index: -7 }),
  ),
  of(
    "NegativeLogLikelihoodLoss",
    `${reduction}, a sequence, ignore_index that is a class`,
    { X: normal(["batch", 3, 2]), labels: integers([0, 1, 2, 2, 1, 0], ["batch", 2]) },
    (g, { X, labels }) => g.NegativeLogLikelihoodLoss(X, labels, { reduction, ignore_index: 1 }),
  ),
]);

const crossEntropy: readonly OperatorCase[] = [
  of(
    "SoftmaxCrossEntropyLoss",
    "labels that are int32",
    { X: normal(["batch", 4]), labels: labels() },
    (g, { X, labels }) =>
      g.SoftmaxCrossEntropyLoss(X, g.Cast(labels, { to: dataTypeNumbers.int32 }), null, {
        ignore_index: 3,
      })[0],
  ),
  of(
    "SoftmaxCrossEntropyLoss",
    "log_prob alone",
    { X: normal(["batch", 4]), labels: labels() },
    (g, { X, labels }) => g.SoftmaxCrossEntropyLoss(X, labels)[1],
  ),
  ...reductions.map((reduction) =>
    of(
      "SoftmaxCrossEntropyLoss",
      `${reduction}, the loss, log_prob and the weights`,
      { X: normal(["batch", 3, 2, 2]), labels: pixels(), w: positive([3]) },
      (g, { X, labels, w }) => [...g.SoftmaxCrossEntropyLoss(X, labels, w, { reduction, ignore_index: -7 })],
    ),
  ),
];

const layer = { X: normal(["batch", 2, 4]), scale: normal([2, 4]), B: normal([2, 4]) };
const batch = {
  X: normal(["batch", 2, 3]),
  scale: normal([2]),
  B: normal([2]),
  mean: normal([2]),
  variance: positive([2]),
};
type BatchInputs = Readonly<Record<keyof typeof batch, Value>>;

const inTraining = (g: Builder, { X, scale, B, mean, variance }: BatchInputs) =>
  g.BatchNormalization(X, scale, B, mean, variance, { training_mode: 1, epsilon: 0.1 });

const statistics: readonly OperatorCase[] = [
  of("LayerNormalization", "Mean and InvStdDev", layer, (g, { X, scale, B }) => [
    ...g.LayerNormalization(X, scale, B, { axis: 1, epsilon: 0.1 }),
  ]),
  of(
    "LayerNormalization",
    "InvStdDev alone",
    { X: layer.X, scale: normal([4]) },
    (g, { X, scale }) => g.LayerNormalization(X, scale, null, { epsilon: 0.1 })[2],
  ),
  of(
    "BatchNormalization",
    "the mean and the variance, for inference",
    batch,
    (g, { X, scale, B, mean, variance }) => g.BatchNormalization(X, scale, B, mean, variance)[0],
  ),
  of("BatchNormalization", "the running statistics", batch, (g, inputs) => [...inTraining(g, inputs)]),
  of("BatchNormalization", "the running variance alone", batch, (g, inputs) => inTraining(g, inputs)[2]),
];

/** Cases of losses of classes, and of the further outputs of losses and normalisations. */
export const lossCases: readonly OperatorCase[] = [...negativeLogLikelihood, ...crossEntropy, ...statistics];
