import type { Graph } from "../ir.ts";

/** The versions of domains whose operators follow those of ai.onnx. */
const versions: Readonly<Record<string, number>> = { "com.ms.internal.nhwc": 17 };

/**
 * The operator sets that a graph and the functions that it calls need: ai.onnx at `opset`, then the others by name, each at version 1
 * unless `versions` says another.
 */
export function opsetImports(
  graph: Graph,
  opset: number,
): readonly (readonly [domain: string, version: number])[] {
  const graphs = [graph, ...graph.functions().map(({ body }) => body)];
  const domains = new Set(graphs.flatMap(({ nodes }) => nodes.map(({ operator }) => operator.domain)));
  domains.delete("");
  return [["", opset], ...[...domains].sort().map((domain) => [domain, versions[domain] ?? 1] as const)];
}
