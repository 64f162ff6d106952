import { expect, test } from "vitest";
import { drawBase, drawnBits, drawnNumbers, splitMix64 } from "../../graph-builder/counter-hash.ts";
import { createBuilder, floats, Graph, int64s } from "../../graph-builder/index.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";

const WEYL = 0x9e3779b97f4a7c15n;

test("the mix gives the published numbers of SplitMix64 for the seed 1234567", () => {
  const numbers = [1n, 2n, 3n, 4n, 5n].map((i) => splitMix64(1234567n + i * WEYL));
  expect(numbers).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
    4593380528125082431n,
    16408922859458223821n,
  ]);
});

test.each([
  { shape: [4, 3], sizes: [4, 3], pairs: true },
  { shape: [3, 5], sizes: [3, 5], pairs: false },
  { shape: ["rows", 3], sizes: [4, 3], pairs: false },
  { shape: ["rows", 6], sizes: [3, 6], pairs: true },
  { shape: [], sizes: [], pairs: false },
])(
  "a graph draws the highest and the lowest 24 bits in the shape [$shape]",
  async ({ shape, sizes, pairs }) => {
    const g = createBuilder(new Graph("draw"));
    const X = g.input("X", "float", shape);
    const base = drawBase(g, g.input("seed", "int64", [1]), g.input("step", "int64", [1]));
    g.output(drawnNumbers(g, { base, stream: "fc1" }, X), "numbers");
    const count = sizes.reduce((product, size) => product * size, 1);
    const [seed, step] = [Number.MAX_SAFE_INTEGER, 12];
    const feeds = {
      X: floats(Array<number>(count).fill(0), sizes),
      seed: int64s([seed]),
      step: int64s([step]),
    };
    const results = await runGraph(g.graph, feeds);
    const bits = Array.from({ length: pairs ? count / 2 : count }, (_, i) =>
      drawnBits({ seed, step, stream: "fc1" }, i),
    );
    const highest = bits.map((each) => Number(each >> 40n));
    const lowest = bits.map((each) => Number(each & 0xffffffn));
    expect(numbersOf(results, "numbers")).toEqual(pairs ? [...highest, ...lowest] : highest);
    expect(results["numbers"]?.dims).toEqual(sizes);
  },
);
