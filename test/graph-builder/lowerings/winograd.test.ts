import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  Graph,
  type Lowering,
  lowerGraph,
  loweringOf,
  portable,
} from "../../../graph-builder/index.ts";
import { blockSize } from "../../../runtime/device/blocked-layout.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const onCpu: Lowering = loweringOf("cpu");
const B = (await blockSize(ort)) ?? 0;

interface Sizes {
  readonly batch?: number | "batch";
  readonly filters?: number;
  readonly channels?: number;
  readonly sides?: readonly [number, number];
  readonly kernel?: number;
  readonly biased?: boolean;
  readonly attributes?: object;
}

/** A convolution with its gradients, and what goes in. */
function convolution(sizes: Sizes) {
  const { filters = 80, channels = 48, sides = [8, 8], kernel = 3, biased, attributes } = sizes;
  const inputs = {
    X: normal([sizes.batch ?? "batch", channels, ...sides]),
    W: normal([filters, channels, kernel, kernel]),
    ...(biased ? { B: normal([filters]) } : {}),
  };
  const g = createBuilder(new Graph("convolution"));
  const values = Object.entries(inputs).map(([name, { shape }]) => g.input(name, "float", shape));
  const [X, W, B = null] = values;
  if (!X || !W) throw new Error("no input");
  const Y = g.Conv(X, W, B, { pads: [1, 1, 1, 1], ...attributes });
  const gradients = appendGradients(g, g.ReduceSum(g.Mul(Y, g.Sigmoid(Y)), null, { keepdims: 0 }), values);
  g.output(Y, "Y");
  for (const [i, gradient] of gradients.entries())
    g.output(g.Identity(gradient), `d${Object.keys(inputs)[i]}`);
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor]));
  return { graph: g.graph, feeds };
}

/** How many convolutions of an image are left, forward and backward. */
function convolutionsOf(sizes: Sizes, lowering: Lowering = onCpu): number {
  return lowerGraph(convolution(sizes).graph, lowering).nodes.filter(({ opType }) => /Conv/.test(opType))
    .length;
}

const maps: readonly (readonly [string, Sizes])[] = [
  ["a square map", {}],
  ["a map of unlike sides", { sides: [8, 12], channels: 80 }],
  ["more channels than filters", { filters: 48, channels: 80 }],
  ["a bias", { biased: true }],
  ["channels that fill no block", { channels: 52 }],
  ["one tile", { sides: [4, 4], channels: 80, batch: 256 }],
  ["tiles of three pixels", { sides: [3, 6], channels: 96, filters: 96, batch: 256 }],
  ["tiles that hang over the edge", { sides: [7, 11], channels: 96, filters: 112 }],
];

function lengthOf(vector: readonly number[]): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value ** 2, 0));
}

async function expectEqualToConvolution(sizes: Sizes, lowering: Lowering): Promise<void> {
  const { graph, feeds } = convolution(sizes);
  expect(convolutionsOf(sizes, lowering)).toBe(0);
  const [expected, actual] = [await runGraph(graph, feeds, portable), await runGraph(graph, feeds, lowering)];
  for (const name of Object.keys(expected)) {
    const [ours, theirs] = [numbersOf(actual, name), numbersOf(expected, name)];
    const distance = lengthOf(ours.map((value, i) => value - (theirs[i] ?? Number.NaN)));
    expect(distance, name).toBeLessThan(1e-5 * lengthOf(theirs));
  }
}

test.each(maps)("results and gradients over %s are those of the convolution", async (_, sizes) => {
  await expectEqualToConvolution(sizes, onCpu);
});

test.skipIf(B === 0).each(maps)("in blocks of channels, too: %s", async (_, sizes) => {
  await expectEqualToConvolution(sizes, loweringOf("cpu", B));
});

test.skipIf(B === 0)("in blocks of channels nothing is transposed but weights", () => {
  const { nodes } = lowerGraph(convolution({}).graph, loweringOf("cpu", B));
  const transposed = nodes.flatMap(({ opType, inputs: [X] }) => (opType === "Transpose" && X ? [X] : []));
  expect(transposed.filter(({ shape }) => shape.some((dim) => typeof dim !== "number"))).toEqual([]);
});

test.each<readonly [string, Sizes]>([
  ["of another kernel", { kernel: 5, attributes: { pads: [2, 2, 2, 2] } }],
  ["without padding", { attributes: { pads: [0, 0, 0, 0] } }],
  ["with a stride", { attributes: { strides: [2, 2] } }],
  ["with a dilation", { attributes: { dilations: [2, 2], pads: [2, 2, 2, 2] } }],
  ["of few images, whose weights would take longer to transform", { sides: [4, 4], batch: 4 }],
  ["of too few channels for its map", { filters: 96, sides: [16, 16], channels: 80 }],
  ["of too few filters", { filters: 16 }],
])("a convolution %s stays one", (_, sizes) => {
  expect(convolutionsOf(sizes)).toBeGreaterThan(0);
});

test("narrow vectors multiply more slowly, so with them fewer channels are enough", () => {
  const sizes = { filters: 64, channels: 64, sides: [16, 16] } as const;
  expect(convolutionsOf(sizes, loweringOf("cpu", 8))).toBe(0);
  expect(convolutionsOf(sizes, loweringOf("cpu", 16))).toBeGreaterThan(0);
});

test("forward and backward transform an image once", () => {
  const products = lowerGraph(convolution({}).graph, onCpu).nodes.filter(({ opType }) =>
    /MatMul$/.test(opType),
  );
  // two transforms of each of X, Y, dY and dX, one of W and one of dW, three products
  expect(products).toHaveLength(4 * 2 + 2 + 3);
});
