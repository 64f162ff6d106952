import { expect, test } from "vitest";
import {
  createBuilder,
  Graph,
  lowerGraph,
  loweringOf,
  type Node,
  Tensor,
} from "../../../graph-builder/index.ts";
import { batchNormInputs, conv, type NetworkPiece, pieceGraph } from "../../support/network-piece.ts";
import { integers, normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const webgpu = loweringOf("webgpu");
const channels = 4;

const filters = (kernel: readonly number[], perGroup = channels) => normal([6, perGroup, ...kernel]);

/** A convolution whose weight gradient is a product of matrices, or is not. */
interface ConvolutionCase extends NetworkPiece {
  readonly isProduct: boolean;
}

const convolution = (title: string, kernel: readonly number[], attributes: object, isProduct = true) => ({
  title,
  isProduct,
  inputs: { W: filters(kernel) },
  build: ((g, X, { W }) => [conv(g, X, W, attributes)]) satisfies NetworkPiece["build"],
});

const convolutions: readonly ConvolutionCase[] = [
  convolution("3x3 convolution", [3, 3], { pads: [1, 1, 1, 1] }),
  convolution("3x3 convolution with stride 2", [3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }),
  convolution("pointwise convolution", [1, 1], {}),
  convolution("pointwise convolution with stride 2", [1, 1], { strides: [2, 2] }),
  convolution("pointwise convolution of a shifted image with stride 2", [1, 1], {
    ...{ pads: [1, 1, 0, 0], strides: [2, 2] },
  }),
  convolution("kernel of unlike sides, dilated, without padding", [3, 2], { dilations: [1, 2] }),
  convolution("kernel with a side of four", [4, 2], { pads: [1, 0, 1, 0] }),
  convolution("convolution padded on one side alone", [3, 3], { pads: [2, 0, 0, 1] }),
  convolution("convolution padded beyond its kernel", [2, 2], { pads: [3, 3, 3, 3] }),
  convolution("5x5 convolution", [5, 5], { pads: [2, 2, 2, 2] }, false),
  {
    title: "two groups",
    isProduct: false,
    inputs: { W: filters([3, 3], channels / 2) },
    build: (g, X, { W }) => [conv(g, X, W, { pads: [1, 1, 1, 1], group: 2 })],
  },
];

const pieces: readonly NetworkPiece[] = [
  {
    title: "batch normalisation behind a convolution",
    inputs: { ...batchNormInputs(channels), W: normal([channels, channels, 3, 3]) },
    build: (g, X, { W, scale = X, bias = X, mean = X, variance = X }) =>
      g.BatchNormInternal(conv(g, X, W, { pads: [1, 1, 1, 1] }), scale, bias, mean, variance, {
        ...{ epsilon: 1e-2, training_mode: 1 },
      }),
  },
  {
    title: "logarithm of softmax over the channels",
    inputs: {},
    build: (g, X) => [g.LogSoftmax(X, { axis: 1 })],
  },
];

function distance(ours: readonly number[], theirs: readonly number[]): number {
  return Math.hypot(...ours.map((value, i) => value - (theirs[i] ?? 0))) / Math.hypot(...theirs);
}

async function expectSame(piece: NetworkPiece, side: number): Promise<readonly Node[]> {
  const { graph, feeds } = pieceGraph(piece, [channels, side, side]);
  const lowered = lowerGraph(graph, webgpu);
  const [expected, actual] = [await runGraph(graph, feeds), await runGraph(lowered, feeds, {})];
  for (const name of Object.keys(expected)) {
    expect(distance(numbersOf(actual, name), numbersOf(expected, name)), name).toBeLessThan(1e-5);
  }
  return lowered.nodes;
}

/** The sides of the kernels of all convolutions. */
function kernels(nodes: readonly Node[]): number[] {
  return nodes
    .filter(({ opType }) => opType === "Conv")
    .flatMap((node) => node.input(1).shape.slice(2).map(Number));
}

// a picture of 16 x 16 pixels has a product of its own, and those of 6 x 6 share one
test.each(convolutions.flatMap((each) => [6, 16].map((side) => ({ ...each, side }))))(
  "$title of $side x $side pixels: results and gradients are those of the portable form, by products: $isProduct",
  async ({ side, isProduct, ...piece }) => {
    const nodes = await expectSame(piece, side);
    // the piece has another, pointwise convolution
    expect(nodes.some(({ opType }) => opType === "MatMul")).toBe(true);
    // a kernel as large as the picture has 5 pixels or more a side
    expect(Math.max(...kernels(nodes)) < 5).toBe(isProduct);
  },
);

test.each(pieces)("$title: results and gradients are those of the portable form", async (piece) => {
  await expectSame(piece, 6);
});

test("two convolutions of one image share its copies", () => {
  const piece = {
    title: "two",
    inputs: { W: filters([3, 3]), V: filters([3, 3]) },
    build: ((g, X, { W, V }) => [
      g.Add(conv(g, X, W, { pads: [1, 1, 1, 1] }), conv(g, X, V, { pads: [1, 1, 1, 1] })),
    ]) satisfies NetworkPiece["build"],
  };
  const { graph } = pieceGraph(piece, [channels, 16, 16]);
  const copies = lowerGraph(graph, webgpu).nodes.filter(
    ({ opType, inputs }) => opType === "Conv" && inputs[1]?.constant,
  );
  // of the image along the width, and of the one gradient along the height
  expect(copies).toHaveLength(2);
});

test("the places of maxima are compared as floats: the first of equal ones, and no other label", async () => {
  const g = createBuilder(new Graph("hits"));
  const scores = g.input("scores", "float", ["batch", 3]);
  const best = g.ArgMax(scores, { axis: 1, keepdims: 0 });
  g.output(g.Equal(best, g.input("labels", "int64", ["batch"])), "hits");
  g.output(g.Equal(g.input("labels2", "int64", ["batch"]), best), "turned");
  g.output(g.Equal(best, g.ArgMax(g.Neg(scores), { axis: -1, keepdims: 0 })), "both");
  const lowered = lowerGraph(g.graph, webgpu);
  expect(lowered.nodes.some(({ opType }) => opType === "ArgMax")).toBe(false);
  const labels = integers([1, 1, 0], ["batch"]).tensor;
  const feeds = {
    scores: new Tensor("float", [3, 3], Float32Array.from([1, 3, 2, 5, 5, 1, 0, 0, 0])),
    labels,
    labels2: labels,
  };
  const [actual, expected] = [await runGraph(lowered, feeds, {}), await runGraph(g.graph, feeds, {})];
  for (const name of ["hits", "turned"]) expect(numbersOf(actual, name)).toEqual([1, 0, 1]);
  expect(numbersOf(actual, "both")).toEqual(numbersOf(expected, "both"));
});
