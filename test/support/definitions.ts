import { at, type Builder, type OpType, type Value } from "../../graph-builder/index.ts";
import { apart, distinct, type Input, integers, normal, positive, uniform } from "./random-tensor.ts";
import { recurrentDefinitions } from "./recurrent-definitions.ts";
import {
  batchNormGradient,
  channelStatistics,
  convGradient,
  crossEntropy,
  Grid,
  indicesOf,
  softmaxGradient,
  type Window2d,
} from "./reference.ts";
import { rmsNormDefinitions } from "./rms-norm-definitions.ts";
import { scatterDefinitions } from "./scatter-definitions.ts";
import { transformerDefinitions } from "./transformer-definitions.ts";

/** A graph with one operator, and the outputs that the definition of the operator gives, computed here. */
export interface Definition {
  readonly opType: OpType;
  readonly title: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly build: (g: Builder, I: (name: string) => Value) => readonly Value[];
  readonly expected: (grid: (name: string) => Grid) => readonly (readonly number[])[];
}

const plain: Window2d = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 };

function convDefinition(
  title: string,
  [X, W, dY]: readonly [number[], number[], number[]],
  given: Partial<Window2d>,
): Definition {
  const window = { ...plain, ...given };
  return {
    opType: "ConvGrad",
    title,
    inputs: { dY: normal(["batch", ...dY]), X: normal(["batch", ...X]), W: normal(W) },
    build: (g, I) => g.ConvGrad(I("dY"), I("X"), I("W"), { ...window, kernel_shape: W.slice(2) }),
    expected: (grid) => convGradient(grid("dY"), grid("X"), grid("W"), window).map(({ data }) => data),
  };
}

function batchNorm(title: string, shape: readonly (number | string)[]): Definition[] {
  const [epsilon, momentum] = [1e-2, 0.7];
  const statistics = { scale: normal([2]), B: normal([2]), mean: normal([2]), variance: positive([2]) };
  return [
    {
      opType: "BatchNormInternal",
      title,
      inputs: { X: normal(shape), ...statistics },
      build: (g, I) =>
        g.BatchNormInternal(I("X"), I("scale"), I("B"), I("mean"), I("variance"), {
          epsilon,
          momentum,
          training_mode: 1,
        }),
      expected: (grid) => {
        const X = grid("X");
        const batch = channelStatistics(X);
        const invStd = batch.variance.map((variance) => 1 / Math.sqrt(variance + epsilon));
        const Y = [...indicesOf(X.dims)].map((index) => {
          const c = at(index, 1);
          const normalised = (X.at(...index) - at(batch.mean, c)) * at(invStd, c);
          return normalised * grid("scale").at(c) + grid("B").at(c);
        });
        const running = (old: Grid, now: number[]) =>
          now.map((value, c) => momentum * old.at(c) + (1 - momentum) * value);
        const means = running(grid("mean"), batch.mean);
        return [Y, means, running(grid("variance"), batch.variance), batch.mean, invStd];
      },
    },
    {
      opType: "BatchNormalizationGrad",
      title,
      inputs: { dY: normal(shape), X: normal(shape), scale: normal([2]) },
      build: (g, I) => {
        const { B, mean, variance } = {
          B: g.float([0, 0]),
          mean: g.float([0, 0]),
          variance: g.float([1, 1]),
        };
        const forward = g.BatchNormInternal(I("X"), I("scale"), B, mean, variance, { epsilon });
        return g.BatchNormalizationGrad(I("dY"), I("X"), I("scale"), forward[3], forward[4], { epsilon });
      },
      expected: (grid) => {
        const { mean, variance } = channelStatistics(grid("X"));
        const invStd = variance.map((value) => 1 / Math.sqrt(value + epsilon));
        const [dX, ...rest] = batchNormGradient(grid("dY"), grid("X"), grid("scale").data, mean, invStd);
        return [dX.data, ...rest];
      },
    },
  ];
}

/** The gradient of an elementwise function, from dY and Y. */
function activation(
  opType: "ReluGrad" | "SigmoidGrad" | "TanhGrad",
  slope: (y: number) => number,
): Definition {
  return {
    opType,
    title: "",
    inputs: { dY: normal(["batch", 2, 3]), Y: apart(["batch", 2, 3]) },
    build: (g, I) => [g[opType](I("dY"), I("Y"))],
    expected: (grid) => [grid("dY").data.map((d, i) => d * slope(at(grid("Y").data, i)))],
  };
}

function softmaxDefinition(opType: "SoftmaxGrad_13" | "LogSoftmaxGrad_13", axis: number): Definition {
  return {
    opType,
    title: `axis ${axis} of three`,
    inputs: { dY: normal(["batch", 4, 2]), Y: uniform(["batch", 4, 2]) },
    build: (g, I) => [g[opType](I("dY"), I("Y"), { axis })],
    expected: (grid) => [
      softmaxGradient(grid("dY"), grid("Y"), axis < 0 ? axis + 3 : axis, opType === "LogSoftmaxGrad_13").data,
    ],
  };
}

function lossDefinitions(
  reduction: string,
  isWeighted: boolean,
  ignoreIndex: number | undefined,
): Definition[] {
  const pixels = ignoreIndex === undefined ? [] : [2, 2];
  const ids = [0, 1, 2, 2, 1, 0, 0, 2, 1, 2, 1, 1].slice(0, pixels.length > 0 ? 12 : 3);
  const labels = ids.map((label, i) => (ignoreIndex !== undefined && i % 4 === 1 ? ignoreIndex : label));
  const weights = [0.5, 2, 1.25];
  const inputs = {
    scores: normal(["batch", 3, ...pixels]),
    labels: integers(labels, ["batch", ...pixels]),
    dY: normal(reduction === "none" ? ["batch", ...pixels] : []),
  };
  const attributes = { reduction, ignore_index: ignoreIndex };
  const settings = {
    reduction,
    ...(isWeighted ? { weights } : {}),
    ...(ignoreIndex === undefined ? {} : { ignoreIndex }),
  };
  const logProbOf = (scores: Grid) => {
    const result = new Grid(scores.dims);
    for (const index of indicesOf(scores.dims)) {
      let sum = 0;
      for (let c = 0; c < 3; c++) sum += Math.exp(scores.at(...index.with(1, c)));
      result.add(index, scores.at(...index) - Math.log(sum));
    }
    return result;
  };
  const title = [
    reduction,
    isWeighted && "weights",
    ignoreIndex !== undefined && `ignore_index ${ignoreIndex}`,
  ]
    .filter(Boolean)
    .join(", ");
  return [
    {
      opType: "SoftmaxCrossEntropyLoss",
      title,
      inputs,
      build: (g, I) =>
        g.SoftmaxCrossEntropyLoss(I("scores"), I("labels"), isWeighted ? g.float(weights) : null, attributes),
      expected: (grid) => {
        const logProb = logProbOf(grid("scores"));
        return [crossEntropy(logProb, grid("labels"), settings).loss, logProb.data];
      },
    },
    {
      opType: "SoftmaxCrossEntropyLossGrad",
      title,
      inputs,
      build: (g, I) => [
        g.SoftmaxCrossEntropyLossGrad(
          I("dY"),
          g.LogSoftmax(I("scores"), { axis: 1 }),
          I("labels"),
          isWeighted ? g.float(weights) : null,
          attributes,
        ),
      ],
      expected: (grid) => {
        const logProb = logProbOf(grid("scores"));
        return [crossEntropy(logProb, grid("labels"), settings, grid("dY").data).dScores.data];
      },
    },
  ];
}

function gatherDefinition(axis: number, shape: readonly number[], indices: Input): Definition {
  const first = axis < 0 ? axis + shape.length : axis;
  const dYShape = [...shape.slice(0, first), ...indices.tensor.dims, ...shape.slice(first + 1)];
  return {
    opType: "GatherGrad",
    title: `axis ${axis} of [${shape.join()}], indices [${indices.tensor.dims.join()}]`,
    inputs: { dY: normal(dYShape), indices, X: normal(shape) },
    build: (g, I) => [g.GatherGrad(g.Shape(I("X")), I("indices"), I("dY"), { axis })],
    expected: (grid) => {
      const dX = new Grid(shape);
      const rank = indices.tensor.dims.length;
      for (const index of indicesOf(dYShape)) {
        const picked = grid("indices").at(...index.slice(first, first + rank));
        const place = picked < 0 ? picked + at(shape, first) : picked;
        dX.add([...index.slice(0, first), place, ...index.slice(first + rank)], grid("dY").at(...index));
      }
      return [dX.data];
    },
  };
}

/** The gradient of a slice; `takes` has the positions that the slice takes on an axis. */
function sliceDefinition(
  shape: readonly number[],
  ranges: readonly { axis: number; start: number; end: number; step: number; takes: readonly number[] }[],
): Definition {
  const dYShape = shape.map((dim, axis) => ranges.find((range) => range.axis === axis)?.takes.length ?? dim);
  return {
    opType: "SliceGrad",
    title: ranges.map(({ start, end, step, axis }) => `${start}:${end}:${step} on axis ${axis}`).join(", "),
    inputs: { dY: normal(dYShape), X: normal(shape) },
    build: (g, I) => {
      const list = (key: "start" | "end" | "axis" | "step") => g.int64(ranges.map((range) => range[key]));
      return [g.SliceGrad(I("dY"), g.Shape(I("X")), list("start"), list("end"), list("axis"), list("step"))];
    },
    expected: (grid) => {
      const dX = new Grid(shape);
      for (const index of indicesOf(dYShape)) {
        const place = index.map((i, axis) => ranges.find((range) => range.axis === axis)?.takes[i] ?? i);
        dX.add(place, grid("dY").at(...index));
      }
      return [dX.data];
    },
  };
}

const maxPool: Definition = {
  opType: "MaxPoolGrad",
  title: "overlapping windows",
  inputs: { dY: normal(["batch", 2, 2, 2]), X: distinct(["batch", 2, 5, 5]) },
  build: (g, I) => {
    const attributes = { kernel_shape: [3, 3], strides: [2, 2] };
    const [, indices] = g.MaxPool(I("X"), attributes);
    return [g.MaxPoolGrad(I("dY"), indices, attributes)];
  },
  expected: (grid) => {
    const [X, dX] = [grid("X"), new Grid(grid("X").dims)];
    for (const [n = 0, c = 0, p = 0, q = 0] of indicesOf(grid("dY").dims)) {
      const window = [...indicesOf([3, 3])].map(([i = 0, j = 0]) => [n, c, 2 * p + i, 2 * q + j]);
      const largest = window.toSorted((a, b) => X.at(...b) - X.at(...a)).slice(0, 1);
      for (const place of largest) dX.add(place, grid("dY").at(n, c, p, q));
    }
    return [dX.data];
  },
};

/** At least one definition for every operator that the portable lowering replaces. */
export const definitions: readonly Definition[] = [
  convDefinition(
    "3x3",
    [
      [2, 5, 5],
      [3, 2, 3, 3],
      [3, 3, 3],
    ],
    {},
  ),
  convDefinition(
    "stride 2, odd size, pads",
    [
      [2, 7, 6],
      [3, 2, 3, 3],
      [3, 4, 3],
    ],
    { strides: [2, 2], pads: [1, 1, 1, 1] },
  ),
  convDefinition(
    "stride 3 leaves pixels unread",
    [
      [2, 8, 7],
      [2, 2, 2, 3],
      [2, 3, 2],
    ],
    { strides: [3, 3] },
  ),
  convDefinition(
    "dilation, unlike axes",
    [
      [2, 7, 6],
      [2, 2, 3, 2],
      [2, 3, 3],
    ],
    { dilations: [2, 3] },
  ),
  convDefinition(
    "two groups, stride",
    [
      [4, 5, 5],
      [6, 2, 3, 3],
      [6, 2, 2],
    ],
    { group: 2, strides: [2, 2] },
  ),
  convDefinition(
    "shifted 1x1",
    [
      [3, 5, 5],
      [2, 3, 1, 1],
      [2, 3, 3],
    ],
    { strides: [2, 2], pads: [1, 1, 0, 0] },
  ),
  ...batchNorm("of images", ["batch", 2, 2, 3]),
  ...batchNorm("of a matrix", [5, 2]),
  activation("ReluGrad", (y) => (y > 0 ? 1 : 0)),
  activation("SigmoidGrad", (y) => y * (1 - y)),
  activation("TanhGrad", (y) => 1 - y * y),
  softmaxDefinition("SoftmaxGrad_13", 1),
  softmaxDefinition("SoftmaxGrad_13", -1),
  softmaxDefinition("LogSoftmaxGrad_13", -2),
  softmaxDefinition("LogSoftmaxGrad_13", 0),
  ...["mean", "sum", "none"].flatMap((reduction) => [
    ...lossDefinitions(reduction, false, undefined),
    ...lossDefinitions(reduction, true, undefined),
    ...lossDefinitions(reduction, false, 1),
    ...lossDefinitions(reduction, true, -100),
  ]),
  gatherDefinition(0, [4, 3], integers([1, 3, 1, -1])),
  gatherDefinition(1, [2, 4, 3], integers([0, 3, 0, 0, 2, 1], [3, 2])),
  gatherDefinition(-1, [2, 3], integers([2], [])),
  sliceDefinition([3, 6], [{ axis: 1, start: 1, end: 5, step: 1, takes: [1, 2, 3, 4] }]),
  sliceDefinition([2, 7], [{ axis: 1, start: -1, end: -100, step: -3, takes: [6, 3, 0] }]),
  sliceDefinition(
    [5, 2, 8],
    [
      { axis: 0, start: 0, end: 100, step: 2, takes: [0, 2, 4] },
      { axis: 2, start: 6, end: 1, step: -2, takes: [6, 4, 2] },
    ],
  ),
  maxPool,
  ...transformerDefinitions,
  ...scatterDefinitions,
  ...rmsNormDefinitions,
  ...recurrentDefinitions,
];
