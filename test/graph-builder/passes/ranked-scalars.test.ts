import { expect, test } from "vitest";
import { type Builder, createBuilder, Graph, runPasses, type Value } from "../../../graph-builder/index.ts";
import { rankedScalars } from "../../../graph-builder/passes/ranked-scalars.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

function graphOf(shape: readonly number[], build: (g: Builder, X: Value) => Value): Graph {
  const g = createBuilder(new Graph("scalars"));
  g.output(build(g, g.input("X", "float", shape)), "Y");
  return g.graph;
}

const shapes = (graph: Graph, opType: string) =>
  graph.nodes
    .filter((node) => node.opType === opType)
    .map(({ inputs }) => inputs.map((input) => input?.shape.length));

test("a single number beside the weights of a 1x1 convolution gets their rank once, and the bits stay", async () => {
  const decayed = (g: Builder, X: Value) => {
    const rate = g.float(0.3);
    const kept = g.Sub(g.Mul(X, rate), g.Div(rate, X));
    return g.Where(g.Greater(rate, g.float([0.1])), kept, X);
  };
  const graph = graphOf([5, 3, 1, 1], decayed);
  const ranked = runPasses(graph, [rankedScalars]);
  expect(shapes(ranked, "Mul")).toEqual([[4, 4]]);
  expect(shapes(ranked, "Div")).toEqual([[4, 4]]);
  expect(shapes(ranked, "Where")).toEqual([[4, 4, 4]]);
  expect(shapes(ranked, "Reshape")).toHaveLength(2);
  const feeds = { X: normal([5, 3, 1, 1]).tensor };
  const [own, before] = [await runGraph(ranked, feeds), await runGraph(graph, feeds)];
  expect(numbersOf(own, "Y")).toEqual(numbersOf(before, "Y"));
  expect(numbersOf(own, "Y")).toHaveLength(15);
});

test.each([
  ["a tensor whose last dimension is not 1", [5, 3, 3, 3], (g: Builder, X: Value) => g.Mul(X, g.float(0.3))],
  ["numbers beside a number", [1, 1], (g: Builder, X: Value) => g.Mul(X, g.float(0.3))],
  ["a tensor beside a row", [5, 3, 1, 1], (g: Builder, X: Value) => g.Add(X, g.float([1, 2]))],
] as const)("%s stays as it is", (_, shape, build) => {
  const graph = graphOf(shape, build);
  expect(runPasses(graph, [rankedScalars])).toBe(graph);
});
