import type { Graph } from "../ir.ts";
import type { Message } from "./schema.ts";

/** The versions of domains whose operators follow those of ai.onnx. */
const versions: Readonly<Record<string, number>> = { "com.ms.internal.nhwc": 17 };

/**
 * The operator sets that a graph and the functions that it calls need: ai.onnx at `opset`, then the others by
 * name, each at version 1 unless `versions` says another.
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

type Imports = readonly Message<"OperatorSetIdProto">[];

/** The same as a file has it. */
export function encodeImports(graph: Graph, opset: number): Imports {
  return opsetImports(graph, opset).map(([domain, version]) => ({ domain, version }));
}

/**
 * The version of every domain that a file or a function imports; a function that imports no ai.onnx is read
 * at `inherited`, the file's. Throws Error for an ai.onnx before 11, whose operators of the same name took
 * other inputs and attributes.
 */
export function decodeImports(imports: Imports = [], inherited = 0): Map<string, number> {
  const opsets = new Map([["", inherited]]);
  for (const { domain, version } of imports) opsets.set(canonicalDomain(domain), Number(version));
  const opset = opsets.get("") ?? inherited;
  if (opset < 11) throw new Error(`it imports opset ${opset} of ai.onnx, and only 11 and later are known`);
  return opsets;
}

/** The version of ai.onnx among imports; undefined where it is not there. */
export function importedOpset(imports: Imports = []): number | undefined {
  const version = imports.find(({ domain }) => canonicalDomain(domain) === "")?.version;
  return version === undefined ? undefined : Number(version);
}

/** A domain as we write it: ai.onnx has two names. */
export function canonicalDomain(domain: string | undefined): string {
  return domain === "ai.onnx" ? "" : (domain ?? "");
}
