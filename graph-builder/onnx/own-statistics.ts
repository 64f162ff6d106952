import { layerName, statisticNames } from "../layer-names.ts";
import { freeName } from "../names.ts";
import type { IGraph, INode } from "./model.ts";
import { parseModel } from "./parse.ts";
import { encodeMessage } from "./wire.ts";

/**
 * An .onnx file in which every running statistic of a BatchNormalization is an initializer of its own.
 * PyTorch's older exporter merges equal tensors, so the statistics of a new network are one tensor, which the
 * trained ones cannot be. Copies are named after their layer; a file without merged statistics is returned as
 * it is. `where` names the file in errors. Throws UserError where the bytes are no ONNX model.
 */
export function withOwnStatistics(bytes: Uint8Array, where = "the model"): Uint8Array {
  const { graph, ...model } = parseModel(bytes, where);
  const separated = separateStatistics(graph);
  return separated === graph ? bytes : encodeMessage("ModelProto", { ...model, graph: separated });
}

function separateStatistics(graph: IGraph): IGraph {
  const { node: nodes = [], initializer = [], input = [] } = graph;
  const originOf = originsIn(nodes);
  const counts = countReads(nodes, originOf);
  const taken = namesIn(graph);
  const constants = new Set(initializer.map(({ name }) => name ?? ""));
  const copies = new Map<string, string>();
  const separated = nodes.map((node) => {
    if (node.opType !== "BatchNormalization") return node;
    const layer = layerName({ name: node.name || (node.output?.[0] ?? ""), opType: node.opType });
    const read = (node.input ?? []).map((name, index) => {
      const origin = originOf(name);
      const statistic = statisticNames[index - 3];
      if (!statistic || counts.get(origin) === 1 || !constants.has(origin)) return name;
      const copy = freeName(`${layer}.${statistic}`, taken);
      copies.set(copy, origin);
      return copy;
    });
    return { ...node, input: read };
  });
  if (copies.size === 0) return graph;
  // a file of an IR version before 4 lists its initializers among the inputs too
  return {
    ...graph,
    node: separated,
    initializer: withCopies(initializer, copies),
    input: withCopies(input, copies),
  };
}

/** What a value is a copy of: exporters put an Identity between a merged constant and its readers. */
function originsIn(nodes: readonly INode[]): (name: string) => string {
  const origins = new Map<string, string>();
  for (const { opType, input: [read] = [], output: [made] = [] } of nodes) {
    if (opType === "Identity" && read !== undefined && made !== undefined) origins.set(made, read);
  }
  const originOf = (name: string): string => {
    const origin = origins.get(name);
    return origin === undefined ? name : originOf(origin);
  };
  return originOf;
}

/** How often each value is read, those read through Identity included. */
function countReads(nodes: readonly INode[], originOf: (name: string) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { opType, input = [] } of nodes) {
    if (opType === "Identity") continue;
    for (const name of input) counts.set(originOf(name), (counts.get(originOf(name)) ?? 0) + 1);
  }
  return counts;
}

function namesIn({ node = [], initializer = [], input = [] }: IGraph): Set<string> {
  const values = node.flatMap(({ output = [] }) => output);
  return new Set([...values, ...[...initializer, ...input].map(({ name }) => name ?? "")]);
}

/** The entries, and the copies of some of them under other names. */
function withCopies<T extends { readonly name?: string | undefined }>(
  entries: readonly T[],
  copies: ReadonlyMap<string, string>,
): T[] {
  const named = new Map(entries.map((entry) => [entry.name ?? "", entry]));
  const made = [...copies].flatMap(([name, origin]) => {
    const entry = named.get(origin);
    return entry ? [{ ...entry, name }] : [];
  });
  return [...entries, ...made];
}
