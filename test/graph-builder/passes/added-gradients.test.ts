import { expect, test } from "vitest";
import {
  addedGradients,
  createBuilder,
  explicitState,
  Graph,
  loweringOf,
  runPasses,
  Tensor,
} from "../../../graph-builder/index.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

/** The squares of x, accumulated in a buffer of a type. */
function accumulation(type: "float" | "double") {
  const g = createBuilder(new Graph("accumulation"));
  const x = g.input("x", type, [3]);
  const buffer = g.input("buffer", type, [3]);
  const reset = g.input("reset", "bool", [1]);
  g.output(g.InPlaceAccumulatorV2(buffer, g.Mul(x, x), reset)[0], "flag");
  return g.graph;
}

const vector = (...values: number[]) => new Tensor("float", [3], Float32Array.from(values));
const bool = (value: boolean) => new Tensor("bool", [1], Uint8Array.of(Number(value)));

test("with zeros for the buffer the sum is what a reset gives, and with the buffer what no reset gives", async () => {
  const explicit = runPasses(accumulation("float"), [explicitState]);
  const added = runPasses(explicit, [addedGradients("reset")]);
  expect(added.nodes.map(({ opType }) => opType)).toEqual(["Mul", "Add"]);
  const [x, buffer, portable] = [vector(1, -2, 3), vector(10, 20, 30), loweringOf("portable")];
  const next = async (graph: Graph, kept: Tensor, reset: boolean) =>
    numbersOf(await runGraph(graph, { x, buffer: kept, reset: bool(reset) }, portable), "buffer_next");
  for (const reset of [true, false]) {
    const expected = await next(explicit, buffer, reset);
    expect(expected).toEqual(reset ? [1, 4, 9] : [11, 24, 39]);
    expect(await next(added, reset ? vector(0, 0, 0) : buffer, reset)).toEqual(expected);
  }
});

test("other choices stay: of another condition, and of other types than float", () => {
  const chosen = (type: "float" | "double", reset: string) =>
    runPasses(accumulation(type), [explicitState, addedGradients(reset)]).nodes.map(({ opType }) => opType);
  expect(chosen("float", "other")).toEqual(["Mul", "Add", "Where"]);
  expect(chosen("double", "reset")).toEqual(["Mul", "Add", "Where"]);
});
