import { expect } from "vitest";
import type { Graph } from "../../graph-builder/index.ts";
import { type Feeds, numbersOf, runGraph } from "./run-graph.ts";

/** Expects a graph to compute all outputs of another one from the same feeds, to five decimals. */
export async function expectSameOutputs(graph: Graph, other: Graph, feeds: Feeds): Promise<void> {
  const [results, expected] = [await runGraph(graph, feeds), await runGraph(other, feeds)];
  expect(Object.keys(results)).toEqual(Object.keys(expected));
  for (const name of Object.keys(expected)) {
    const [own, others] = [numbersOf(results, name), numbersOf(expected, name)];
    expect(own, name).toHaveLength(others.length);
    for (const [i, value] of own.entries()) expect(value, name).toBeCloseTo(others[i] ?? Number.NaN, 5);
  }
}
