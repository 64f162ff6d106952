import type { Graph, Node, Value } from "../graph-builder/index.ts";

/**
 * Whether a layer is put into training form: a dropout always, and a batch normalisation where it reads a
 * trained parameter, or values that depend on one. A frozen part of a network in front of all trained
 * parameters keeps its running statistics, and gives the same features in every step.
 */
export function trainsLayer(graph: Graph, trained: ReadonlySet<string>): (layer: Node) => boolean {
  const varying = new Set<Value>(
    graph.initializers.filter(({ name }) => name !== undefined && trained.has(name)),
  );
  const moving = new Set<string>();
  for (const { name, inputs, outputs } of graph.nodes) {
    if (!inputs.some((input) => input && varying.has(input))) continue;
    moving.add(name);
    for (const output of outputs) varying.add(output);
  }
  return ({ name, operator }) => operator.isRandom === true || moving.has(name);
}
