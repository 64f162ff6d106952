import { expect, test } from "vitest";
import {
  type Builder,
  bfloat16Precision,
  createBuilder,
  Graph,
  lowerGraph,
  loweringOf,
  mixedPrecision,
  portable,
  runPasses,
  Tensor,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
import { bfloat16OnCpu } from "../../support/bfloat16-on-cpu.ts";
import { withoutBfloat16Kernel } from "../../support/cuda-bfloat16.ts";
import { cudaOnCpu } from "../../support/cuda-emulation.ts";
import {
  batchNormInputs,
  conv,
  type NetworkPiece,
  pieceGraph,
  type Values,
} from "../../support/network-piece.ts";
import { normal, positive, uniform } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const cuda = loweringOf("cuda");
const channels = 4;

const filters = (kernel: readonly number[], perGroup = channels) => normal([6, perGroup, ...kernel]);

const statistics = batchNormInputs(channels);

/** alpha X + (1 - alpha) relu(X), one alpha an image. */
function mixed(g: Builder, X: Value, alpha: Value): Value {
  const weight = g.Unsqueeze(alpha, g.int64([1, 2, 3]));
  return g.Add(g.Mul(X, weight), g.Mul(g.Relu(X), g.Sub(g.float(1), weight)));
}

function normalised(
  g: Builder,
  X: Value,
  { scale = X, bias = X, mean = X, variance = X }: Values,
): readonly Value[] {
  return g.BatchNormInternal(X, scale, bias, mean, variance, { epsilon: 1e-2, training_mode: 1 });
}

const cases: readonly NetworkPiece[] = [
  {
    title: "3x3 convolution",
    inputs: { W: filters([3, 3]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1] })],
  },
  {
    title: "3x3 convolution with stride 2",
    inputs: { W: filters([3, 3]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1], strides: [2, 2] })],
  },
  {
    title: "pointwise convolution",
    inputs: { W: filters([1, 1]) },
    build: (g, X, { W }) => [conv(g, X, W, {})],
  },
  {
    title: "kernel of unlike sides, dilated, without padding",
    inputs: { W: filters([3, 2]) },
    build: (g, X, { W }) => [conv(g, X, W, { dilations: [1, 2] })],
  },
  {
    title: "convolution padded on one side alone",
    inputs: { W: filters([3, 3]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [2, 0, 0, 1] })],
  },
  {
    title: "shifted pointwise convolution with stride 2 over a cropped image, as in the shortcut",
    inputs: { W: filters([1, 1]) },
    build: (g, X, { W }) => {
      const cropped = g.Slice(X, g.int64([0, 0]), g.int64([-1, -1]), g.int64([2, 3]));
      return [conv(g, cropped, W, { pads: [1, 1, 0, 0], strides: [2, 2] })];
    },
  },
  {
    title: "shifted pointwise convolution with stride 2",
    inputs: { W: filters([1, 1]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 0, 0], strides: [2, 2] })],
  },
  {
    title: "convolution with a bias",
    inputs: { W: filters([3, 3]), B: normal([6]) },
    build: (g, X, { W, B }) => [g.Conv(X, W ?? X, B ?? null, { pads: [1, 1, 1, 1] })],
  },
  {
    title: "two groups",
    inputs: { W: filters([3, 3], channels / 2) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1], group: 2 })],
  },
  {
    title: "batch normalisation in training with Relu",
    inputs: statistics,
    build: (g, X, values) => {
      const [Y, ...rest] = normalised(g, X, values);
      return [g.Relu(Y ?? X), ...rest];
    },
  },
  {
    title: "batch normalisation behind a convolution, whose factor goes to the weights",
    inputs: { ...statistics, W: normal([channels, channels, 3, 3]) },
    build: (g, X, { W, ...rest }) => normalised(g, conv(g, X, W, { pads: [1, 1, 1, 1] }), rest),
  },
  {
    title: "batch normalisation in use",
    inputs: statistics,
    build: (g, X, { scale = X, bias = X, mean = X, variance = X }) => [
      g.BatchNormalization(X, scale, bias, mean, variance, { epsilon: 1e-2 })[0],
    ],
  },
  {
    title: "sums of two and three",
    inputs: {},
    build: (g, X) => [g.Add(X, g.Sum(X, g.Relu(X), X))],
  },
  {
    title: "mix of two branches",
    inputs: { alpha: uniform(["batch"]) },
    build: (g, X, { alpha }) => [mixed(g, X, alpha ?? X)],
  },
  {
    title: "channels joined and split, and the mean of the pixels",
    inputs: { W: filters([1, 1]), V: filters([1, 1]) },
    build: (g, X, { W, V }) => [
      g.GlobalAveragePool(g.Concat(conv(g, X, W, {}), conv(g, X, V, {}), { axis: 1 })),
    ],
  },
];

function distance(ours: readonly number[], theirs: readonly number[]): number {
  return Math.hypot(...ours.map((value, i) => value - (theirs[i] ?? 0))) / Math.hypot(...theirs);
}

test.each(cases)("$title: results and gradients are those of the portable form", async (piece) => {
  const { graph, feeds } = pieceGraph(piece, [channels, 6, 6]);
  const lowered = lowerGraph(graph, cuda);
  expect(lowered.nodes.some(({ opType }) => opType === "NhwcConv")).toBe(true);
  const [expected, actual] = [await runGraph(graph, feeds), await runGraph(lowered, feeds, cudaOnCpu)];
  for (const name of Object.keys(expected)) {
    expect(distance(numbersOf(actual, name), numbersOf(expected, name)), name).toBeLessThan(1e-5);
  }
});

test.each(cases)(
  "$title: in mixed precision, results and gradients are those of float32 within 1 %",
  async (piece) => {
    const { graph, feeds } = pieceGraph(piece, [channels, 6, 6]);
    const expected = await runGraph(graph, feeds);
    const scale = 256;
    const scaled = { ...feeds, loss_scale: new Tensor("float", [], Float32Array.of(scale)) };
    for (const lowering of [undefined, cuda]) {
      const half = runPasses(graph, [mixedPrecision]);
      const lowered = lowering ? lowerGraph(half, lowering) : half;
      const actual = await runGraph(lowered, scaled, lowering ? cudaOnCpu : undefined);
      for (const name of Object.keys(expected)) {
        const factor = name.startsWith("d_") ? scale : 1;
        const values = numbersOf(actual, name).map((value) => value / factor);
        expect(distance(values, numbersOf(expected, name)), name).toBeLessThan(0.01);
      }
    }
  },
);

test.each(cases)(
  "$title: in bfloat16, the gradients are those of the portable form, and CUDA has every kernel",
  async (piece) => {
    const { graph, feeds } = pieceGraph(piece, [channels, 6, 6]);
    const half = runPasses(graph, [bfloat16Precision]);
    expect(half.inputs.map(({ name }) => name)).not.toContain("loss_scale");
    const lowered = lowerGraph(half, cuda);
    expect(withoutBfloat16Kernel(lowered)).toEqual([]);
    const exact = await runGraph(graph, feeds);
    const expected = await runGraph(bfloat16OnCpu(lowerGraph(half, portable)), feeds);
    const actual = await runGraph(bfloat16OnCpu(lowered), feeds, cudaOnCpu);
    for (const name of Object.keys(exact)) {
      const values = numbersOf(actual, name);
      expect(distance(values, numbersOf(expected, name)), name).toBeLessThan(0.08);
      const error = distance(values, numbersOf(exact, name));
      expect(error, name).toBeGreaterThan(1e-7);
      // a gradient may be far off: rounding moves values over the edge of a Relu
      if (!name.startsWith("d_")) expect(error, name).toBeLessThan(0.02);
    }
  },
);

test("what lies between two convolutions stays in channels last", () => {
  const g = createBuilder(new Graph("chain"));
  const X = g.input("X", "float", ["batch", channels, 4, 4]);
  const W = g.input("W", "float", [channels, channels, 1, 1]);
  const all = [normal, normal, normal, positive].map((fill, i) =>
    g.constant(fill([channels]).tensor, `s${i}`),
  );
  const first = g.BatchNormInternal(g.Conv(X, W), ...(all as [Value, Value, Value, Value]))[0];
  g.output(g.Conv(g.Add(g.Relu(first), first), W), "Y");
  const transposes = lowerGraph(g.graph, cuda).nodes.filter(({ opType }) => opType === "Transpose");
  expect(transposes).toHaveLength(2);
});

test("a graph without the gradient of a loss is refused in one sentence", () => {
  const g = createBuilder(new Graph("forward"));
  g.output(g.Relu(g.input("X", "float", [2])), "Y");
  expect(() => runPasses(g.graph, [mixedPrecision])).toThrow(
    new UserError(
      "The graph forward has no constant that is the gradient of its loss, so its precision cannot be mixed.",
      { code: "model-unsupported" },
    ),
  );
});
