import { Tensor } from "../../graph-builder/index.ts";
import type { Attributes } from "../../graph-builder/operators/index.ts";
import { activationCases } from "./activation-cases.ts";
import { algebraCases } from "./algebra-cases.ts";
import { attentionCases } from "./attention-cases.ts";
import { elementwiseCases, type OperatorCase, of } from "./elementwise-cases.ts";
import { gridCases } from "./grid-cases.ts";
import { indexingCases } from "./indexing-cases.ts";
import { lossCases } from "./loss-cases.ts";
import { placeCases } from "./place-cases.ts";
import { distinct, type Input, integers, normal, positive } from "./random-tensor.ts";
import { recurrentCases } from "./recurrent-cases.ts";
import { reductionCases } from "./reduction-cases.ts";
import { roiCases } from "./roi-cases.ts";
import { runTimeCases } from "./run-time-cases.ts";
import { samplingCases } from "./sampling-cases.ts";
import { windowCases } from "./window-cases.ts";

const image = (channels: number, height: number, width = height) =>
  normal(["batch", channels, height, width]);
const vector = (n: number) => normal([n]);
const labels = () => integers([2, 0, 3], ["batch"]);
const spatialLabels = () => integers([0, 1, 2, 2, 1, -7, 0, 0, 1, 2, -7, 1], ["batch", 2, 2]);

const convolutions: OperatorCase[] = [
  conv("a plain 3x3", image(2, 4), [3, 2, 3, 3], {}),
  conv("padded", image(2, 4), [3, 2, 3, 3], { pads: [1, 1, 1, 1] }),
  conv("kernel_shape given", image(2, 4), [3, 2, 1, 3], { kernel_shape: [1, 3], pads: [0, 1, 0, 1] }),
  conv("stride 2, padded, even size", image(2, 6), [3, 2, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv("stride 2, odd size", image(2, 7), [3, 2, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv("stride 3 leaves pixels unread", image(2, 7, 6), [2, 2, 2, 2], { strides: [3, 3] }),
  conv("stride 2 of a 1x1", image(3, 5), [2, 3, 1, 1], { strides: [2, 2] }),
  conv("dilation 2", image(2, 7), [2, 2, 3, 3], { dilations: [2, 2], pads: [2, 2, 2, 2] }),
  conv("dilation and stride, unlike axes", image(2, 8, 9), [2, 2, 3, 2], {
    dilations: [2, 3],
    strides: [1, 2],
  }),
  conv("two groups", image(4, 4), [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv("depthwise, stride 2", image(3, 5), [3, 1, 3, 3], { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] }),
  conv("two groups, dilation, stride", image(4, 7), [4, 2, 2, 2], {
    group: 2,
    strides: [2, 2],
    dilations: [2, 2],
  }),
  conv("unlike pads", image(2, 5), [2, 2, 3, 3], { pads: [0, 2, 1, 0] }),
  conv("pads wider than the kernel", image(2, 3), [2, 2, 2, 2], { pads: [3, 2, 2, 3], strides: [2, 1] }),
  conv("one axis", normal(["batch", 2, 8]), [3, 2, 3], { strides: [2], pads: [1, 0] }),
  conv("three axes", normal(["batch", 2, 3, 4, 3]), [2, 2, 2, 2, 2], { pads: [0, 1, 0, 1, 0, 0] }),
  of("Conv", "with a bias", { X: image(2, 4), W: normal([3, 2, 3, 3]), B: vector(3) }, (g, { X, W, B }) =>
    g.Conv(X, W, B),
  ),
  of("Conv", "the shifted 1x1 of a shortcut", { X: image(3, 6), W: normal([2, 3, 1, 1]) }, (g, { X, W }) =>
    g.Conv(g.Slice(X, g.int64([0, 0]), g.int64([-1, -1]), g.int64([2, 3])), W, {
      strides: [2, 2],
      pads: [1, 1, 0, 0],
    }),
  ),
  of("Conv", "the shifted 1x1 at stride 1", { X: image(3, 4), W: normal([2, 3, 1, 1]) }, (g, { X, W }) =>
    g.Conv(g.Slice(X, g.int64([0, 0]), g.int64([-1, -1]), g.int64([2, 3])), W, { pads: [1, 1, 0, 0] }),
  ),
  of(
    "ConvTranspose",
    "stride 2 and a bias",
    { X: image(2, 3), W: normal([2, 3, 3, 3]), B: vector(3) },
    (g, { X, W, B }) => g.ConvTranspose(X, W, B, { strides: [2, 2], pads: [1, 1, 1, 1] }),
  ),
  of(
    "ConvTranspose",
    "output padding, two groups",
    { X: image(4, 3), W: normal([4, 2, 2, 2]) },
    (g, { X, W }) => g.ConvTranspose(X, W, null, { strides: [2, 2], output_padding: [1, 1], group: 2 }),
  ),
  of("ConvTranspose", "dilation", { X: image(2, 3), W: normal([2, 2, 2, 2]) }, (g, { X, W }) =>
    g.ConvTranspose(X, W, null, { dilations: [2, 2] }),
  ),
];

const pools: OperatorCase[] = [
  of(
    "MaxPool",
    "2x2",
    { X: distinct(["batch", 2, 4, 4]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [2, 2], strides: [2, 2] })[0],
    { tolerance: 2e-2 },
  ),
  of(
    "MaxPool",
    "overlapping and padded",
    { X: distinct(["batch", 2, 5, 5]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })[0],
  ),
  of(
    "MaxPool",
    "dilated, ceil_mode",
    { X: distinct(["batch", 1, 6, 7]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [2, 2], strides: [2, 2], dilations: [2, 1], ceil_mode: 1 })[0],
  ),
  of("AveragePool", "2x2", { X: image(2, 4) }, (g, { X }) =>
    g.AveragePool(X, { kernel_shape: [2, 2], strides: [2, 2] }),
  ),
  of("AveragePool", "odd size, unread pixels", { X: image(2, 6, 5) }, (g, { X }) =>
    g.AveragePool(X, { kernel_shape: [2, 2], strides: [4, 2] }),
  ),
  of("AveragePool", "padding not counted", { X: image(2, 5) }, (g, { X }) =>
    g.AveragePool(X, { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  ),
  of("AveragePool", "padding counted", { X: image(2, 5) }, (g, { X }) =>
    g.AveragePool(X, { kernel_shape: [3, 3], pads: [1, 0, 1, 2], count_include_pad: 1 }),
  ),
  of("GlobalAveragePool", "", { X: image(2, 3, 4) }, (g, { X }) => g.GlobalAveragePool(X)),
];

const statistics = {
  X: image(2, 3),
  scale: vector(2),
  B: vector(2),
  mean: vector(2),
  variance: positive([2]),
};
const learned = ["X", "scale", "B"] as const;

const normalisation: OperatorCase[] = [
  of(
    "BatchNormalization",
    "in inference",
    statistics,
    (g, { X, scale, B, mean, variance }) => g.BatchNormalization(X, scale, B, mean, variance)[0],
    { targets: learned },
  ),
  of(
    "BatchNormalization",
    "in inference, of a matrix",
    { ...statistics, X: normal(["batch", 2]) },
    (g, { X, scale, B, mean, variance }) =>
      g.BatchNormalization(X, scale, B, mean, variance, { epsilon: 0.1 })[0],
    { targets: learned },
  ),
  of(
    "BatchNormalization",
    "in training",
    statistics,
    (g, { X, scale, B, mean, variance }) =>
      g.BatchNormalization(X, scale, B, mean, variance, { training_mode: 1, epsilon: 0.01 })[0],
    { targets: learned },
  ),
  of(
    "BatchNormInternal",
    "of images",
    statistics,
    (g, { X, scale, B, mean, variance }) =>
      g.BatchNormInternal(X, scale, B, mean, variance, { training_mode: 1, epsilon: 0.01 })[0],
    { targets: learned },
  ),
  of(
    "BatchNormInternal",
    "of a matrix",
    { ...statistics, X: normal(["batch", 2]) },
    (g, { X, scale, B, mean, variance }) =>
      g.BatchNormInternal(X, scale, B, mean, variance, { training_mode: 1, epsilon: 0.1 })[0],
    { targets: learned },
  ),
  of(
    "LayerNormalization",
    "last axis",
    { X: normal(["batch", 2, 4]), scale: vector(4), B: vector(4) },
    (g, { X, scale, B }) => g.LayerNormalization(X, scale, B, { epsilon: 1e-2 })[0],
  ),
  of(
    "LayerNormalization",
    "two axes, no bias",
    { X: normal(["batch", 2, 4]), scale: normal([2, 4]) },
    (g, { X, scale }) => g.LayerNormalization(X, scale, null, { axis: 1, epsilon: 1e-2 })[0],
  ),
  of(
    "InstanceNormalization",
    "one axis",
    { X: normal(["batch", 2, 5]), scale: vector(2), B: vector(2) },
    (g, { X, scale, B }) => g.InstanceNormalization(X, scale, B, { epsilon: 1e-2 }),
  ),
  of(
    "SimplifiedLayerNormalization",
    "last axis",
    { X: normal(["batch", 2, 4]), scale: vector(4) },
    (g, { X, scale }) => g.SimplifiedLayerNormalization(X, scale, { epsilon: 1e-2 })[0],
  ),
  of(
    "SimplifiedLayerNormalization",
    "two axes",
    { X: normal(["batch", 2, 4]), scale: normal([2, 4]) },
    (g, { X, scale }) => g.SimplifiedLayerNormalization(X, scale, { axis: 1, epsilon: 1e-2 })[0],
  ),
  of("Dropout", "not training", { X: normal(["batch", 4]) }, (g, { X }) => g.Dropout(X)[0]),
  of("Dropout", "training, nothing dropped", { X: normal(["batch", 4]) }, (g, { X }) => {
    const isTraining = g.constant(new Tensor("bool", [], Uint8Array.of(1)));
    return g.Dropout(X, g.float(0), isTraining)[0];
  }),
];

const loss: OperatorCase[] = ["mean", "sum", "none"].flatMap((reduction) => [
  of(
    "SoftmaxCrossEntropyLoss",
    reduction,
    { X: normal(["batch", 4]), labels: labels() },
    (g, { X, labels }) => g.SoftmaxCrossEntropyLoss(X, labels, { reduction })[0],
  ),
  of(
    "SoftmaxCrossEntropyLoss",
    `${reduction}, weights`,
    { X: normal(["batch", 4]), labels: labels(), w: positive([4]) },
    (g, { X, labels, w }) => g.SoftmaxCrossEntropyLoss(X, labels, w, { reduction })[0],
    { targets: ["X"] },
  ),
  of(
    "SoftmaxCrossEntropyLoss",
    `${reduction}, ignore_index`,
    { X: normal(["batch", 4]), labels: labels() },
    (g, { X, labels }) => g.SoftmaxCrossEntropyLoss(X, labels, { reduction, ignore_index: 0 })[0],
  ),
  of(
    "SoftmaxCrossEntropyLoss",
    `${reduction}, pixels, negative ignore_index`,
    { X: normal(["batch", 3, 2, 2]), labels: spatialLabels() },
    (g, { X, labels }) => g.SoftmaxCrossEntropyLoss(X, labels, { reduction, ignore_index: -7 })[0],
  ),
  of(
    "SoftmaxCrossEntropyLoss",
    `${reduction}, pixels, weights, ignore_index`,
    { X: normal(["batch", 3, 2, 2]), labels: spatialLabels(), w: positive([3]) },
    (g, { X, labels, w }) => g.SoftmaxCrossEntropyLoss(X, labels, w, { reduction, ignore_index: -7 })[0],
    { targets: ["X"] },
  ),
]);

const determinants: OperatorCase[] = [
  of("Det", "of stacks", { X: normal(["batch", 2, 3, 3]) }, (g, { X }) => g.Det(X)),
  of("Det", "of numbers", { X: normal(["batch", 1, 1]) }, (g, { X }) => g.Det(X)),
  of("Det", "of a singular matrix", { X: normal([2, 1]) }, (g, { X }) => g.Det(g.MatMul(X, g.Transpose(X)))),
];

/** At least one case for every operator that has a gradient rule. */
export const gradientCases: readonly OperatorCase[] = [
  ...elementwiseCases,
  ...activationCases,
  ...placeCases,
  ...indexingCases,
  ...reductionCases,
  ...algebraCases,
  ...convolutions,
  ...pools,
  ...windowCases,
  ...samplingCases,
  ...recurrentCases,
  ...normalisation,
  ...loss,
  ...lossCases,
  ...attentionCases,
  ...gridCases,
  ...roiCases,
  ...determinants,
  ...runTimeCases,
];

type ConvAttributes = Partial<Attributes<"Conv">>;

function conv(title: string, X: Input, filters: readonly number[], attributes: ConvAttributes): OperatorCase {
  return of("Conv", title, { X, W: normal(filters) }, (g, { X, W }) => g.Conv(X, W, null, attributes));
}
