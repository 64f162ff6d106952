import { expect, test } from "vitest";
import {
  createBuilder,
  explicitState,
  Graph,
  type Tensor,
  withExplicitState,
} from "../../../graph-builder/index.ts";
import { normal, positive } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

function names(graph: Graph): (string | undefined)[] {
  return graph.outputs.map(({ name }) => name);
}

test("an accumulator without a flag always adds", async () => {
  const g = createBuilder(new Graph("sum"));
  g.output(g.InPlaceAccumulatorV2(g.input("sum", "float", [3]), g.input("x", "float", [3]))[0], "flag");
  const explicit = explicitState.run(g.graph);
  expect(names(explicit)).toEqual(["sum_next"]);
  const feeds: Record<string, Tensor> = { sum: normal([3]).tensor, x: normal([3]).tensor };
  const results = await runGraph(explicit, feeds);
  const x = numbersOf(feeds, "x");
  expect(numbersOf(results, "sum_next")).toEqual(
    numbersOf(feeds, "sum").map((s, i) => Math.fround(s + (x[i] ?? 0))),
  );
});

test("an accumulated sum that is an output already keeps its name beside the new one", async () => {
  const g = createBuilder(new Graph("sum"));
  const sum = g.InPlaceAccumulatorV2(g.input("sum", "float", [2]), g.input("x", "float", [2]))[1];
  g.output(sum, "total");
  const explicit = explicitState.run(g.graph);
  expect(names(explicit)).toEqual(["total", "sum_next"]);
  const results = await runGraph(explicit, { sum: normal([2]).tensor, x: normal([2]).tensor });
  expect(numbersOf(results, "sum_next")).toEqual(numbersOf(results, "total"));
});

test("BatchNormalization in training mode returns its statistics, in inference none", async () => {
  const shapes = { X: normal(["batch", 2]), mean: normal([2]), variance: positive([2]) };
  const build = (training_mode: number) => {
    const g = createBuilder(new Graph("norm"));
    const X = g.input("X", "float", ["batch", 2]);
    const [mean, variance] = [g.input("mean", "float", [2]), g.input("variance", "float", [2])];
    const attributes = { training_mode, momentum: 0.75 };
    g.output(g.BatchNormalization(X, g.float([1, 2]), g.float([3, 4]), mean, variance, attributes)[0], "Y");
    return explicitState.run(g.graph);
  };
  expect(names(build(0))).toEqual(["Y"]);
  expect(names(build(1))).toEqual(["Y", "mean_next", "variance_next"]);
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, { tensor }]) => [name, tensor]));
  const results = await runGraph(build(1), feeds);
  const X = numbersOf(feeds, "X");
  for (const channel of [0, 1]) {
    const column = X.filter((_, i) => i % 2 === channel);
    const mean = column.reduce((sum, x) => sum + x, 0) / column.length;
    const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length;
    const old = (name: string) => numbersOf(feeds, name)[channel] ?? 0;
    expect(numbersOf(results, "mean_next")[channel]).toBeCloseTo(0.75 * old("mean") + 0.25 * mean, 5);
    expect(numbersOf(results, "variance_next")[channel]).toBeCloseTo(
      0.75 * old("variance") + 0.25 * variance,
      5,
    );
  }
});

test("statistics that the graph returns by itself are left alone", () => {
  const g = createBuilder(new Graph("norm"));
  const [X, mean, variance] = [
    g.input("X", "float", [4, 2]),
    g.input("m", "float", [2]),
    g.input("v", "float", [2]),
  ];
  const outputs = g.BatchNormInternal(X, g.float([1, 1]), g.float([0, 0]), mean, variance, {
    training_mode: 1,
  });
  g.output(outputs[0], "Y");
  g.output(outputs[1], "own_mean");
  expect(names(explicitState.run(g.graph))).toEqual(["Y", "own_mean", "v_next"]);
});

test("a name that is taken gets a number behind, and the bindings tell the outputs", () => {
  const g = createBuilder(new Graph("sums"));
  const [a, b] = [g.input("sum", "float", [2]), g.input("sum_next", "float", [2])];
  for (const buffer of [a, b])
    g.output(g.InPlaceAccumulatorV2(buffer, g.float([1, 2]))[0], `${buffer.name}_flag`);
  const bindings = [
    { role: "parameter", input: "sum" },
    { role: "constant", input: "sum_next" },
  ] as const;
  const explicit = withExplicitState({ graph: g.graph, bindings });
  expect(names(explicit.graph)).toEqual(["sum_next_1", "sum_next_next"]);
  expect(explicit.bindings).toEqual([
    { role: "parameter", input: "sum", output: "sum_next_1" },
    { role: "statistic", input: "sum_next", output: "sum_next_next" },
  ]);
});

test("an input that two nodes change is refused", () => {
  const g = createBuilder(new Graph("twice"));
  const buffer = g.input("sum", "float", [2]);
  for (const i of [0, 1]) g.output(g.InPlaceAccumulatorV2(buffer, g.float([i, 2]))[0], `flag_${i}`);
  expect(() => explicitState.run(g.graph)).toThrow("Two nodes of the graph twice change its input sum.");
});
