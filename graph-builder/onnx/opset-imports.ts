import type { Graph } from "../ir.ts";
import { operatorOf } from "../operators/index.ts";

/** The operator sets that a graph needs: ai.onnx at `opset`, then the others by name, each at version 1. */
export function opsetImports(
  { nodes }: Graph,
  opset: number,
): readonly (readonly [domain: string, version: number])[] {
  const domains = new Set(nodes.map((node) => operatorOf(node.opType).domain as string));
  domains.delete("");
  return [["", opset], ...[...domains].sort().map((domain) => [domain, 1] as const)];
}
