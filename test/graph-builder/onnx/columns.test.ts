import { expect, test } from "vitest";
import { decodeModel, int64s } from "../../../graph-builder/index.ts";
import { type ForeignNode, feedsOf, fileOf } from "../../support/foreign-node.ts";
import { integers, normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const [image, block, strides, dilations] = [
  [5, 3, 6],
  [2, 2, 2],
  [1, 2, 2],
  [2, 1, 3],
] as const;
const places = [3, 1, 2] as const;

/** All lists of whole numbers from 0 that are below some sizes, in order. */
function indices(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (lists, size) => lists.flatMap((list) => Array.from({ length: size }, (_, i) => [...list, i])),
    [[]],
  );
}

/** The sum at every pixel of one picture of two channels, by the definition. */
function defined(columns: readonly number[]): number[] {
  const sums = Array.from({ length: 2 * 5 * 3 * 6 }, () => 0);
  const rows = [0, 1].flatMap((channel) => indices(block).map((offset) => ({ channel, offset })));
  for (const [row, { channel, offset }] of rows.entries()) {
    for (const [column, place] of indices(places).entries()) {
      const pixel = place.map((p, i) => p * (strides[i] ?? 1) + (offset[i] ?? 0) * (dilations[i] ?? 1));
      const at = pixel.reduce((flat, p, i) => flat * (image[i] ?? 1) + p, channel);
      sums[at] = (sums[at] ?? 0) + (columns[row * 6 + column] ?? Number.NaN);
    }
  }
  return sums;
}

// ONNX Runtime 1.30's own kernel is wrong for three axes with strides or dilations
test.each([
  ["known", int64s([...image]), int64s([...block])],
  ["told by a run", integers([...image]), integers([...block])],
] as const)("Col2Im of three axes, its shapes %s, is the sum that ONNX defines", async (_, sizes, kernel) => {
  const input = normal([1, 16, 6]);
  const node: ForeignNode = {
    opType: "Col2Im",
    opset: 18,
    inputs: [
      ["input", input],
      ["image_shape", sizes],
      ["block_shape", kernel],
    ],
    attributes: { strides: ["ints", strides], dilations: ["ints", dilations] },
  };
  const results = await runGraph(decodeModel(fileOf(node)).graph, feedsOf(node));
  expect(results["Y"]?.dims).toEqual([1, 2, ...image]);
  const expected = defined(input.tensor.numbers());
  for (const [i, value] of numbersOf(results, "Y").entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 5);
});
