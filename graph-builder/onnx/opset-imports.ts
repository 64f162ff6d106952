import type { Graph } from "../ir.ts";
import { operatorOf } from "../operators/index.ts";

/** The versions of domains whose operators follow those of ai.onnx. */
const versions: Readonly<Record<string, number>> = { "com.ms.internal.nhwc": 17 };

/** The operator sets that a graph needs: ai.onnx at `opset`, then the others by name, each at version 1 unless `versions` says another. */
export function opsetImports(
  { nodes }: Graph,
  opset: number,
): readonly (readonly [domain: string, version: number])[] {
  const domains = new Set(nodes.map((node) => operatorOf(node.opType).domain as string));
  domains.delete("");
  return [["", opset], ...[...domains].sort().map((domain) => [domain, versions[domain] ?? 1] as const)];
}
