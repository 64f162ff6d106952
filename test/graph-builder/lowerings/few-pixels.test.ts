import { describe, expect, test } from "vitest";
import { type Lowering, lowerGraph, loweringOf } from "../../../graph-builder/index.ts";
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
