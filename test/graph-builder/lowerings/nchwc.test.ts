import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  Graph,
  type Lowering,
  lowerGraph,
  loweringOf,
  sizedInputs,
  type Value,
} from "../../../graph-builder/index.ts";
import { blockSize } from "../../../runtime/device/blocked-layout.ts";
import { batchNormInputs, conv, type NetworkPiece, pieceGraph } from "../../support/network-piece.ts";
import { normal, positive, uniform } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const B = (await blockSize(ort)) ?? 0;
const plain: Lowering = loweringOf("cpu");
const blocked: Lowering = loweringOf("cpu", B);
const channels = 2 * B;

const square = [3, 3] as const;
const weights = (filters: number, perGroup: number, kernel: readonly number[] = square) =>
  normal([filters, perGroup, ...kernel]);

const statistics = batchNormInputs(channels);

const cases: readonly NetworkPiece[] = [
  {
    title: "3x3 convolution",
    inputs: { W: weights(B, channels) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1] })],
  },
  {
    title: "3x3 convolution with stride 2",
    inputs: { W: weights(channels, channels) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1], strides: [2, 2] })],
  },
  {
    title: "shifted 1x1 convolution with stride 2",
    inputs: { W: weights(B, channels, [1, 1]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 0, 0], strides: [2, 2] })],
  },
  {
    title: "two groups",
    inputs: { W: weights(channels, B) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1], group: 2 })],
  },
  {
    title: "a kernel of unlike sides, dilated",
    inputs: { W: weights(B, channels, [3, 2]) },
    build: (g, X, { W }) => [conv(g, X, W, { dilations: [1, 2] })],
  },
  {
    title: "filters that fill no block",
    inputs: { W: weights(3, channels) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1] })],
  },
  {
    title: "batch normalisation in training with Relu",
    inputs: statistics,
    build: (g, X, { scale, bias, mean, variance }) => {
      const all = [scale, bias, mean, variance].map((value) => value ?? X);
      const [Y, ...rest] = g.BatchNormInternal(X, ...(all as [Value, Value, Value, Value]), {
        epsilon: 1e-2,
        training_mode: 1,
      });
      return [g.Relu(Y), ...rest];
    },
  },
  {
    title: "batch normalisation in use",
    inputs: statistics,
    build: (g, X, { scale, bias, mean, variance }) => {
      const all = [scale, bias, mean, variance].map((value) => value ?? X);
      return [g.BatchNormalization(X, ...(all as [Value, Value, Value, Value]), { epsilon: 1e-2 })[0]];
    },
  },
  {
    title: "sums of two and three",
    inputs: {},
    build: (g, X) => [g.Add(X, g.Sum(X, g.Relu(X), X))],
  },
  {
    title: "products with a number for each image, and with one for all",
    inputs: { alpha: uniform(["batch", 1, 1, 1]) },
    build: (g, X, { alpha }) => [g.Add(g.Mul(X, alpha ?? X), g.Mul(g.float(0.5), g.Relu(X)))],
  },
  {
    title: "depthwise 1x1 convolution with pads, which reads beyond dY",
    inputs: { W: weights(channels, 1, [1, 1]) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 0, 0, 1], group: channels })],
  },
  {
    title: "numbers that are clipped",
    inputs: { W: weights(channels, channels, [1, 1]) },
    build: (g, X, { W }) => [conv(g, g.Clip(X, g.float(-0.2), g.float(0.7)), W, {})],
  },
  {
    title: "channels joined and split",
    inputs: { W: weights(B, channels, [1, 1]), V: weights(B, channels, [1, 1]) },
    build: (g, X, { W, V }) => [g.Concat(conv(g, X, W, {}), conv(g, X, V, {}), { axis: 1 })],
  },
];

const depthwise: readonly NetworkPiece[] = [
  { title: "3x3", kernel: square, attributes: { pads: [1, 1, 1, 1] } },
  { title: "3x3 with stride 2", kernel: square, attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } },
  { title: "3x3 without pads, of strides 2 and 1", kernel: square, attributes: { strides: [2, 1] } },
  { title: "3x2, dilated", kernel: [3, 2], attributes: { pads: [2, 1, 1, 2], dilations: [2, 3] } },
  { title: "5x5 with stride 2", kernel: [5, 5], attributes: { pads: [2, 2, 2, 2], strides: [2, 2] } },
].map(({ title, kernel, attributes }) => ({
  title: `depthwise ${title}, with a bias`,
  inputs: { W: weights(channels, 1, kernel), b: normal([channels]) },
  build: (g, X, { W = X, b = X }) => [g.Conv(X, W, b, { ...attributes, group: channels })],
}));

describe.skipIf(B === 0)(`blocks of ${B} channels: ONNX Runtime has them on this machine`, () => {
  async function expectAlike({ graph, feeds }: ReturnType<typeof pieceGraph>): Promise<void> {
    const lowered = lowerGraph(graph, blocked);
    expect(lowered.nodes.some(({ opType }) => opType === "NchwcConv")).toBe(true);
    const [expected, actual] = [await runGraph(graph, feeds, plain), await runGraph(graph, feeds, blocked)];
    for (const name of Object.keys(expected)) {
      const [ours, theirs] = [numbersOf(actual, name), numbersOf(expected, name)];
      const size = Math.hypot(...theirs);
      expect(Math.hypot(...ours.map((value, i) => value - (theirs[i] ?? 0))), name).toBeLessThan(1e-5 * size);
    }
  }

  test.each([...cases, ...depthwise])(
    "$title: results and gradients are those of the plain layout",
    async (piece) => {
      await expectAlike(pieceGraph(piece, [channels, 6, 5]));
    },
  );

  test.each(cases)("$title, of a known number of images: so are they", async (piece) => {
    const { graph, feeds } = pieceGraph(piece, [channels, 6, 5]);
    const sizes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
    await expectAlike({ graph: sizedInputs(sizes).run(graph), feeds });
  });

  test.each(depthwise)("$title, of any number of images: every convolution is a blocked one", (piece) => {
    const { graph } = pieceGraph(piece, [channels, 6, 5]);
    const operators = lowerGraph(graph, blocked)
      .withInnerGraphs()
      .flatMap(({ nodes }) => nodes.map(({ opType }) => opType));
    expect(operators).not.toContain("Conv");
    expect(operators).not.toContain("ConvTranspose");
  });

  test.each(depthwise)("$title, of a known number of images: so are its gradients", async (piece) => {
    const { graph, feeds } = pieceGraph(piece, [channels, 6, 5]);
    const sizes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
    const sized = sizedInputs(sizes).run(graph);
    await expectAlike({ graph: sized, feeds });
    const operators = lowerGraph(sized, blocked).nodes.map(({ opType }) => opType);
    expect(operators).not.toContain("Conv");
    expect(operators).not.toContain("ConvTranspose");
  });

  test("what lies between two convolutions stays in blocks", () => {
    const g = createBuilder(new Graph("chain"));
    const X = g.input("X", "float", ["batch", channels, 4, 4]);
    const W = g.input("W", "float", [channels, channels, 1, 1]);
    const all = [normal, normal, normal, positive].map((fill, i) =>
      g.constant(fill([channels]).tensor, `s${i}`),
    );
    const first = g.BatchNormInternal(g.Conv(X, W), ...(all as [Value, Value, Value, Value]))[0];
    g.output(g.Conv(g.Add(g.Relu(first), first), W), "Y");
    // weights change their layout by the same operators
    const ofImages = lowerGraph(g.graph, blocked).nodes.filter(
      (n) => typeof n.input(0).shape[0] !== "number",
    );
    const count = (opType: string) => ofImages.filter((n) => n.opType === opType).length;
    expect([count("ReorderInput"), count("ReorderOutput")]).toEqual([1, 1]);
  });

  test("a Relu that alone reads a convolution is done by it", () => {
    const g = createBuilder(new Graph("relu"));
    const X = g.input("X", "float", ["batch", channels, 4, 4]);
    const Y = g.Conv(X, g.input("W", "float", [channels, channels, 1, 1]));
    g.output(g.Relu(Y), "Y");
    const operations = lowerGraph(g.graph, blocked).nodes.map(({ opType }) => opType);
    expect(operations).toContain("NchwcConv");
    expect(operations).not.toContain("Relu");
  });

  test("gradients of weights, which look like pictures, are left alone", () => {
    const g = createBuilder(new Graph("weights"));
    const dW = g.input("dW", "float", [channels, channels, 3, 3]);
    g.output(g.Add(dW, g.Relu(dW)), "sum");
    expect(lowerGraph(g.graph, blocked).nodes.map(({ opType }) => opType)).toEqual(["Relu", "Add"]);
  });

  test("channels that fill no block, and vectors, stay in the plain layout", () => {
    const g = createBuilder(new Graph("odd"));
    const X = g.input("X", "float", ["batch", 3, 4, 4]);
    g.output(g.Relu(g.Conv(X, g.input("W", "float", [channels, 3, 3, 3]))), "Y");
    expect(lowerGraph(g.graph, blocked).nodes.map(({ opType }) => opType)).toEqual(["Conv", "Relu"]);
  });
});

test.each(["float16", "double"] as const)("convolutions of %s stay in the layout of the file", (elemType) => {
  const g = createBuilder(new Graph("typed"));
  const X = g.input("X", elemType, ["batch", 48, 8, 8]);
  const W = g.input("W", elemType, [48, 48, 3, 3]);
  const Y = g.Relu(g.Conv(X, W, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }));
  const strided = g.input("strided", elemType, [512, 48, 1, 1]);
  const loss = g.ReduceSum(g.Conv(Y, strided, { kernel_shape: [1, 1], strides: [4, 4] }), null, {
    keepdims: 0,
  });
  const targets = [X, W, strided];
  for (const [i, gradient] of appendGradients(g, loss, targets).entries()) g.output(gradient, `gradient${i}`);
  for (const lowering of [loweringOf("cpu", 8), loweringOf("cpu")]) {
    const { nodes } = lowerGraph(g.graph, lowering);
    expect(nodes.map(({ opType }) => opType)).toContain("Conv");
    expect(nodes.filter(({ opType }) => /Nchwc|Reorder|^MatMul$/.test(opType))).toEqual([]);
  }
});
