import { expect, test } from "vitest";
import { at, floats, type OptimizerRule, optimizerGraph } from "../../../graph-builder/index.ts";
import { apart } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const rule: OptimizerRule = {
  kind: "muon",
  momentum: 0.9,
  weightDecay: 0,
  newtonSchulzSteps: 5,
  sgdRate: 4,
};

/** How far a weight of a shape goes in a step at the rate 1 from a moment of 0, and its gradient. */
async function stepOf(shape: readonly number[], changed: Partial<typeof rule> = {}) {
  const gradient = apart([...shape]).tensor;
  const zeros = floats(
    gradient.numbers().map(() => 0),
    [...shape],
  );
  const { graph } = optimizerGraph([{ name: "w", shape }], { ...rule, ...changed } as OptimizerRule);
  const feeds = { w: zeros, w_grad: gradient, "w.momentum": zeros, learning_rate: floats([1]) };
  const next = numbersOf(await runGraph(graph, feeds), "w_next");
  return { moved: next.map((value) => -value), gradient: gradient.numbers() };
}

/** The products of all pairs of rows. */
function gram(values: readonly number[], rows: number): number[][] {
  const size = values.length / rows;
  const row = (i: number) => values.slice(i * size, (i + 1) * size);
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * at(b, i), 0);
  return Array.from({ length: rows }, (_, i) => Array.from({ length: rows }, (_, j) => dot(row(i), row(j))));
}

test("Muon moves a filter by a matrix whose rows are about orthogonal and of length 1", async () => {
  const { moved, gradient } = await stepOf([4, 3, 3, 3]);
  for (const [i, products] of gram(moved, 4).entries()) {
    for (const [j, product] of products.entries()) {
      if (i === j) expect(product).toBeGreaterThan(0.4);
      if (i === j) expect(product).toBeLessThan(1.6);
      if (i !== j) expect(Math.abs(product)).toBeLessThan(0.3);
    }
  }
  expect(moved.reduce((sum, value, i) => sum + value * at(gradient, i), 0)).toBeGreaterThan(0);
});

test("Muon's step does not depend on how large the gradient is, and 0 stays 0", async () => {
  const graph = optimizerGraph([{ name: "w", shape: [2, 3] }], rule).graph;
  const step = async (scale: number) => {
    const gradient = floats(
      [3, -1, 2, 0.5, 1, -4].map((value) => scale * value),
      [2, 3],
    );
    const zeros = floats(Array(6).fill(0), [2, 3]);
    const feeds = { w: zeros, w_grad: gradient, "w.momentum": zeros, learning_rate: floats([1]) };
    return numbersOf(await runGraph(graph, feeds), "w_next");
  };
  const [one, large] = [await step(1), await step(1000)];
  for (const [i, value] of one.entries()) expect(large[i]).toBeCloseTo(value, 4);
  expect(await step(0)).toEqual([0, 0, 0, 0, 0, 0].map((zero) => expect.closeTo(zero, 6)));
});

test("a matrix with more rows than columns goes the root of their ratio farther, in the transposed direction", async () => {
  const { moved } = await stepOf([12, 3]);
  const columns = Array.from({ length: 3 }, (_, j) => moved.filter((_value, i) => i % 3 === j)).flat();
  for (const [i, products] of gram(columns, 3).entries()) {
    expect(products[i]).toBeGreaterThan(0.4 * 4);
    expect(products[i]).toBeLessThan(1.6 * 4);
  }
});

test("vectors, and weights with no iteration, go by SGD at its own rate, with the decay over it", async () => {
  const isSgd = async (shape: readonly number[], groups: OptimizerRule["groups"]) => {
    const { moved, gradient } = await stepOf(shape, { groups });
    for (const [i, value] of moved.entries()) expect(value).toBeCloseTo(4 * 1.9 * at(gradient, i), 4);
  };
  await isSgd([5], undefined);
  await isSgd([2, 3], { w: { newtonSchulzSteps: 0 } });
  const { graph } = optimizerGraph([{ name: "w", shape: [1] }], { ...rule, momentum: 0, weightDecay: 0.1 });
  const feeds = {
    w: floats([3]),
    w_grad: floats([0]),
    "w.momentum": floats([0]),
    learning_rate: floats([0.5]),
  };
  expect(numbersOf(await runGraph(graph, feeds), "w_next")[0]).toBeCloseTo(3 - 0.5 * 0.1 * 3, 6);
});

test("Muon's weight decay is decoupled, and a group's number of iterations is a whole one", async () => {
  const { graph } = optimizerGraph([{ name: "w", shape: [1, 2] }], { ...rule, weightDecay: 0.1 });
  const zeros = floats([0, 0], [1, 2]);
  const feeds = {
    w: floats([1, -2], [1, 2]),
    w_grad: zeros,
    "w.momentum": zeros,
    learning_rate: floats([0.5]),
  };
  const next = numbersOf(await runGraph(graph, feeds), "w_next");
  expect(next).toEqual([expect.closeTo(0.95, 5), expect.closeTo(-1.9, 5)]);
  expect(() =>
    optimizerGraph([{ name: "w", shape: [1, 2] }], { ...rule, groups: { w: { newtonSchulzSteps: 1.5 } } }),
  ).toThrow("newtonSchulzSteps of the group w is 1.5, and must be a whole number.");
});
