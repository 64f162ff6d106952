import { nodesFor } from "../append-graph.ts";
import { type Builder, createBuilder } from "../builder.ts";
import { Graph, type Node, type Notes, Subgraph, type Value } from "../ir.ts";

/**
 * Returns the values that replace a node's outputs, in order (null for an output that nothing uses), or
 * undefined to keep the node. `inputs` are the node's inputs in the new graph; `g` appends to the new graph.
 */
export type Rewrite = (
  node: Node,
  inputs: readonly (Value | null)[],
  g: Builder,
) => readonly (Value | null | undefined)[] | undefined;

/**
 * Returns a new graph in which `rewrite` replaces nodes. Only the nodes that an output needs are rewritten
 * and kept. Names of inputs, outputs and named values stay. A new node gets a name under the name of the node
 * that it replaces, and the same phase. `inputFor` returns the value that replaces an input, or undefined to
 * drop the input; by default every input stays. Throws Error where a node reads a value that no earlier node
 * makes.
 */
export function rewriteGraph(
  graph: Graph,
  rewrite: Rewrite,
  inputFor: (input: Value, g: Builder) => Value | undefined = keepInput,
): Graph {
  const { g, translate } = rewriteNodes(graph, rewrite, inputFor);
  for (const output of graph.outputs) g.output(translate(output), output.name ?? "");
  g.graph.notes = graph.notes;
  return g.graph;
}

/**
 * Copies the part of a graph that some values need, with all inputs, into a new graph without outputs. The
 * function `copyOf` returns the copy of a value.
 */
export function copyPart(
  graph: Graph,
  values: readonly Value[],
): { readonly g: Builder; readonly copyOf: (value: Value) => Value } {
  const part = partOf(graph, values);
  const { g, translate } = rewriteNodes(part, keepNode, keepInput, new Set());
  return { g, copyOf: translate };
}

/** The same inputs and nodes with other outputs. */
export function partOf(graph: Graph, outputs: readonly Value[]): Graph {
  const part = new Graph(graph.name);
  part.inputs.push(...graph.inputs);
  part.nodes = graph.nodes;
  part.outputs = [...outputs];
  return part;
}

/** Rewrites the nodes of a graph; the values in `renamed`, its outputs by default, lose their names. */
function rewriteNodes(
  graph: Graph,
  rewrite: Rewrite,
  inputFor: (input: Value, g: Builder) => Value | undefined,
  renamed: ReadonlySet<Value> = new Set(graph.outputs),
): { readonly g: Builder; readonly translate: (value: Value) => Value } {
  const g = createBuilder(new Graph(graph.name));
  const values = new Map<Value, Value>();
  for (const input of graph.inputs) {
    const replacement = inputFor(input, g);
    if (!replacement) continue;
    keepNotes(input, replacement);
    values.set(input, replacement);
  }
  const translate = (value: Value): Value => {
    const known = values.get(value);
    if (known) return known;
    if (!value.constant)
      throw new Error(`graph ${graph.name} reads ${value.name ?? "a value"} before any node makes it`);
    const constant = g.constant(value.constant, value.name);
    keepNotes(value, constant);
    values.set(value, constant);
    return constant;
  };
  for (const node of neededNodes(graph)) {
    const inputs = node.inputs.map((input) => input && translate(input));
    const outputs = g.during(
      node.phase,
      () => g.within(node.name, () => rewrite(node, inputs, g)) ?? g.copy(node, inputs, node.name).outputs,
    );
    for (const [i, value] of node.outputs.entries()) {
      const replacement = outputs[i];
      if (!replacement) continue;
      values.set(value, replacement);
      keepNotes(value, replacement);
      if (replacement.producer?.name === node.name) keepNotes(node, replacement.producer);
      if (value.name !== undefined && !renamed.has(value)) replacement.name ??= value.name;
    }
  }
  return { g, translate };
}

/** Copies a node with a body that `rewrite` has changed, and returns its outputs. */
export function copyWithin(
  node: Node,
  inputs: readonly (Value | null)[],
  g: Builder,
  rewrite: (graph: Graph) => Graph,
): readonly Value[] | undefined {
  const { subgraph, attributes, name } = node;
  if (!subgraph) return undefined;
  const body = new Subgraph(rewrite(subgraph.graph), subgraph.captured);
  return g.copy(node, inputs, name, { ...attributes, body }).outputs;
}

function keepNotes(from: { readonly notes: Notes | undefined }, to: { notes: Notes | undefined }): void {
  if (from.notes) to.notes ??= from.notes;
}

/** Returns a new graph with the nodes that the outputs need. */
export function copyGraph(graph: Graph): Graph {
  return rewriteGraph(graph, keepNode);
}

/** Returns the nodes that the outputs depend on, in graph order. */
export function neededNodes(graph: Graph): Node[] {
  return nodesFor(graph, graph.outputs);
}

/** The rewrite that leaves every node as it is. */
export function keepNode(): undefined {
  return undefined;
}

/** The same input in a new graph. */
export function keepInput({ name = "", type }: Value, g: Builder): Value {
  return g.inputOf(name, type);
}
