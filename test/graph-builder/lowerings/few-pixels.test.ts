import { describe, expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  type DataType,
  Graph,
  type Lowering,
  lowerGraph,
  loweringOf,
} from "../../../graph-builder/index.ts";
import { conv, pieceGraph } from "../../support/network-piece.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const FILTERS = 64;

const windows = [
  { title: "3x3 with stride 2", kernel: [3, 3], attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } },
  { title: "1x1 with stride 2", kernel: [1, 1], attributes: { strides: [2, 2] } },
  {
    title: "3x2, dilated",
    kernel: [3, 2],
    attributes: { pads: [2, 0, 1, 1], strides: [2, 3], dilations: [1, 2] },
  },
];

const piece = (
  { title, kernel, attributes }: (typeof windows)[number],
  filters = FILTERS,
  image: readonly [number, number, number] = [3, 4, 5],
) =>
  pieceGraph(
    {
      title,
      inputs: { W: normal([filters, 3, ...kernel]) },
      build: (g, X, { W }) => [conv(g, X, W, attributes)],
    },
    image,
  );

const operators = (graph: ReturnType<typeof piece>["graph"], lowering: Lowering) =>
  lowerGraph(graph, lowering).nodes.map(({ opType }) => opType);

describe.each([
  ["the plain layout", loweringOf("cpu")],
  ["blocks of 16 channels", loweringOf("cpu", 16)],
])("dX of a convolution with a stride over few pixels, in %s", (_, lowering) => {
  test.each(windows)("$title: is made by products of matrices and is the portable one", async (window) => {
    const { graph, feeds } = piece(window);
    expect(operators(graph, lowering)).not.toContain("ConvTranspose");
    const expected = numbersOf(await runGraph(graph, feeds, loweringOf("portable")), "d_X");
    const actual = numbersOf(await runGraph(graph, feeds, loweringOf("cpu")), "d_X");
    const size = Math.hypot(...expected);
    expect(Math.hypot(...actual.map((value, i) => value - (expected[i] ?? 0)))).toBeLessThan(1e-5 * size);
  });

  test.each(windows)("$title: is a ConvTranspose for few filters", (window) => {
    expect(operators(piece(window, FILTERS / 2).graph, lowering)).toContain("ConvTranspose");
  });

  test("is a ConvTranspose for a kernel so large that the places of its taps would fill the file", () => {
    const window = { title: "patches", kernel: [16, 16], attributes: { strides: [16, 16] } };
    const { graph } = piece(window, FILTERS, [3, 32, 32]);
    expect(operators(graph, lowering)).toContain("ConvTranspose");
  });
});

interface Sizes {
  readonly images?: number | string;
  readonly channels?: number;
  readonly filters?: number;
  readonly sides?: readonly [number, number];
  readonly kernel?: readonly [number, number];
  readonly group?: number;
  readonly attributes?: object;
  readonly biased?: boolean;
  readonly elemType?: DataType;
}

/** A convolution with its gradients, and what goes in. */
function convolution(sizes: Sizes) {
  const { images = 3, channels = 80, filters = 64, sides = [2, 2], kernel = [3, 3], group = 1 } = sizes;
  const inputs = {
    X: normal([images, channels, ...sides]),
    W: normal([filters, channels / group, ...kernel]),
    ...(sizes.biased ? { b: normal([filters]) } : {}),
  };
  const g = createBuilder(new Graph("convolution"));
  const values = Object.entries(inputs).map(([name, { shape }]) =>
    g.input(name, sizes.elemType ?? "float", shape),
  );
  const [X, W, b = null] = values;
  if (!X || !W) throw new Error("no input");
  const Y = g.Conv(X, W, b, { pads: [1, 1, 1, 1], group, ...sizes.attributes });
  const gradients = appendGradients(g, g.ReduceSum(g.Mul(Y, Y), null, { keepdims: 0 }), values);
  g.output(Y, "Y");
  for (const [i, gradient] of gradients.entries())
    g.output(g.Identity(gradient), `d_${Object.keys(inputs)[i]}`);
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor]));
  return { graph: g.graph, feeds };
}

const withFewPixels: readonly (readonly [string, Sizes])[] = [
  ["a 3x3 kernel and a bias", { biased: true }],
  ["a map of one pixel", { sides: [1, 1] }],
  ["a map of unlike sides", { sides: [2, 3] }],
  ["one image with more pixels", { images: 1, sides: [7, 5], filters: 96 }],
  [
    "a stride, with a last row that is not read",
    { sides: [4, 3], attributes: { strides: [2, 2], pads: [1, 1, 0, 0] } },
  ],
  [
    "a dilated kernel of unlike sides",
    { kernel: [3, 2], attributes: { dilations: [2, 1], pads: [2, 1, 2, 0] } },
  ],
  [
    "a 1x1 kernel",
    { images: 2, channels: 96, filters: 160, kernel: [1, 1], attributes: { pads: [0, 0, 0, 0] } },
  ],
  [
    "a 1x1 kernel with a stride",
    {
      sides: [3, 2],
      images: 1,
      filters: 96,
      kernel: [1, 1],
      attributes: { pads: [0, 0, 0, 0], strides: [2, 2] },
    },
  ],
  [
    "a 1x1 kernel with a pad",
    { images: 1, channels: 160, filters: 160, kernel: [1, 1], attributes: { pads: [1, 0, 0, 0] } },
  ],
  ["any number of images", { images: "batch", channels: 40, filters: 256 }],
];

describe.each([
  ["the plain layout", loweringOf("cpu")],
  ["blocks of 8 channels", loweringOf("cpu", 8)],
])("a convolution with large weights and few pixels, in %s", (_, lowering) => {
  test.each(withFewPixels)(
    "%s: it and its gradients are products of matrices, and the portable ones",
    async (_, sizes) => {
      const { graph, feeds } = convolution(sizes);
      const lowered = operators(graph, lowering);
      expect(lowered.filter((operator) => /Conv/.test(operator))).toEqual([]);
      expect(lowered.filter((operator) => operator === "Gemm")).toHaveLength(3);
      const expected = await runGraph(graph, feeds, loweringOf("portable"));
      const actual = await runGraph(graph, feeds, lowering);
      for (const name of Object.keys(expected)) {
        const [ours, theirs] = [numbersOf(actual, name), numbersOf(expected, name)];
        const distance = Math.hypot(...ours.map((value, i) => value - (theirs[i] ?? Number.NaN)));
        expect(distance, name).toBeLessThan(1e-5 * Math.hypot(...theirs));
      }
    },
  );

  test.each([
    ["many images", { images: 64 }],
    ["many pixels", { sides: [8, 8] }],
    ["few channels", { channels: 2 }],
    ["groups", { group: 2, channels: 320 }],
    ["double precision", { elemType: "double" }],
  ] as const satisfies readonly (readonly [string, Sizes])[])("%s: it stays a convolution", (_, sizes) => {
    expect(operators(convolution(sizes).graph, lowering)).not.toContain("Gemm");
  });
});
