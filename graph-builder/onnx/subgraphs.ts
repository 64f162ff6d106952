import { freeName } from "../names.ts";
import type { Message } from "./schema.ts";

type IAttribute = Message<"AttributeProto">;
type IGraph = Message<"GraphProto">;
type INode = Message<"NodeProto">;

/** The graphs in the attributes of a node: the branches of If, the bodies of Loop and Scan. */
export function graphsOf(attributes: readonly IAttribute[]): IGraph[] {
  return attributes.flatMap(({ g, graphs }) => [...(g ? [g] : []), ...(graphs ?? [])]);
}

/** The nodes of graphs, and those in the graphs of their attributes. */
export function* nodesWithin(graphs: readonly IGraph[]): Generator<INode> {
  for (const { node = [] } of graphs) {
    for (const each of node) {
      yield each;
      yield* nodesWithin(graphsOf(each.attribute ?? []));
    }
  }
}

/** The names that the graphs in attributes read from around them, in the order of the first read. */
export function capturedNames(attributes: readonly IAttribute[]): string[] {
  return [...new Set(graphsOf(attributes).flatMap(freeNames))];
}

function freeNames(graph: IGraph): string[] {
  const known = new Set(definedNames(graph, []));
  const free: string[] = [];
  const read = (name: string) => {
    if (name !== "" && !known.has(name)) free.push(name);
  };
  for (const { input = [], output = [], attribute = [] } of graph.node ?? []) {
    for (const name of [...input, ...capturedNames(attribute)]) read(name);
    for (const name of output) known.add(name);
  }
  for (const { name = "" } of graph.output ?? []) read(name);
  return free;
}

/** The names of a graph's inputs and constants, and of what `nodes` make. */
function definedNames(
  { input = [], initializer = [], sparseInitializer = [] }: IGraph,
  nodes: readonly INode[],
) {
  return [
    ...[...input, ...initializer].map(({ name = "" }) => name),
    ...sparseInitializer.map(({ values }) => values?.name ?? ""),
    ...nodes.flatMap(({ output = [] }) => output),
  ];
}

/**
 * Attributes whose graphs read other names from around them. A name inside that equals a new one from around
 * gets a number behind it.
 */
export function withCapturedNames(
  attributes: readonly IAttribute[],
  renamed: ReadonlyMap<string, string>,
): readonly IAttribute[] {
  if ([...renamed].every(([old, name]) => old === name)) return attributes;
  return attributes.map((attribute) => {
    const { g, graphs } = attribute;
    if (!g && !graphs) return attribute;
    return {
      ...attribute,
      ...(g ? { g: renameGraph(g, renamed) } : {}),
      ...(graphs ? { graphs: graphs.map((graph) => renameGraph(graph, renamed)) } : {}),
    };
  });
}

function renameGraph(graph: IGraph, renamed: ReadonlyMap<string, string>): IGraph {
  const { node = [], input, output, initializer, valueInfo } = graph;
  const own = definedNames(graph, node);
  const outer = new Set(renamed.values());
  const taken = new Set([...own, ...outer]);
  const names = new Map(renamed);
  for (const name of own) names.set(name, outer.has(name) ? freeName(name, taken) : name);
  const rename = (name: string) => names.get(name) ?? name;
  const named = <M extends { readonly name?: string | undefined }>(message: M): M => ({
    ...message,
    name: rename(message.name ?? ""),
  });
  return {
    ...graph,
    input: input?.map(named),
    output: output?.map(named),
    initializer: initializer?.map(named),
    valueInfo: valueInfo?.map(named),
    node: node.map((each) => ({
      ...each,
      input: each.input?.map(rename),
      output: each.output?.map(rename),
      attribute: each.attribute && [...withCapturedNames(each.attribute, names)],
    })),
  };
}
