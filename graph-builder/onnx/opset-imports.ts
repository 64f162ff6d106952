import type { Graph } from "../ir.ts";

/**
 * The operator sets that a graph and the functions that it calls need: ai.onnx at `opset`, then the others by name, each at version 1.
 */
export function opsetImports(
  graph: Graph,
  opset: number,
): readonly (readonly [domain: string, version: number])[] {
  const graphs = [graph, ...graph.functions().map(({ body }) => body)];
  const domains = new Set(graphs.flatMap(({ nodes }) => nodes.map(({ operator }) => operator.domain)));
  domains.delete("");
  return [["", opset], ...[...domains].sort().map((domain) => [domain, 1] as const)];
}
