import type { Graph } from "../ir.ts";
import type { Message } from "./schema.ts";

/** The versions of domains whose operators follow those of ai.onnx. */
const versions: Readonly<Record<string, number>> = { "com.ms.internal.nhwc": 17 };

/**
 * The operator sets that a graph and the functions that it calls need: ai.onnx at `opset`, then the others by
 * name, each at version 1 unless `versions`, or a node that is kept as its file has it, says another.
 */
export function opsetImports(
  graph: Graph,
  opset: number,
): readonly (readonly [domain: string, version: number])[] {
  const found = new Map<string, number>();
  for (const { operator } of graph.withInnerGraphs().flatMap(({ nodes }) => nodes)) {
    const { domain, kept } = operator;
    for (const [each, version] of kept?.imports ?? [[domain, versions[domain] ?? 1]])
      found.set(each, version);
  }
  found.delete("");
  return [["", opset], ...[...found].sort(([a], [b]) => (a < b ? -1 : 1))];
}

type Imports = readonly Message<"OperatorSetIdProto">[];

/** The operator sets that a graph needs, as a file lists them. */
export function encodeImports(graph: Graph, opset: number): Imports {
  return opsetImports(graph, opset).map(([domain, version]) => ({ domain, version }));
}

/**
 * The version of every domain that a file or a function imports; a function that imports no ai.onnx is read
 * at `inherited`, the file's. Throws Error for an ai.onnx before 9.
 */
export function decodeImports(imports: Imports = [], inherited?: number): Map<string, number> {
  const opsets = new Map(inherited === undefined ? [] : [["", inherited]]);
  for (const { domain, version } of imports) opsets.set(canonicalDomain(domain), Number(version ?? 1));
  const opset = opsets.get("");
  if (opset === undefined || opset >= 9) return opsets;
  throw new Error(
    `it imports opset ${opset} of ai.onnx, and only 9 and later are read; ` +
      "onnx.version_converter.convert_version(model, 17) of the Python package onnx writes a newer one",
  );
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
