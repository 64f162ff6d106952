import type { Builder } from "./builder.ts";
import { Graph, type Node, type Value } from "./ir.ts";
import { givenNames } from "./names.ts";

/** Which part of a graph is appended, and how. */
export interface AppendOptions {
  /** The values to compute; nodes that none of them needs are left out. */
  readonly wanted: readonly Value[];
  /** What stands in the place of the graph's inputs and of some of its constants. */
  readonly replacements: ReadonlyMap<Value, Value>;
  /** Names that no copy takes. */
  readonly reserved?: Iterable<string> | undefined;
}

/**
 * Appends the nodes of a graph to a builder's graph, with their names, phases and notes. A value keeps its
 * name where that is free. Returns the function from a value of `graph` to its copy, which throws Error for a
 * value that is not there.
 */
export function appendGraph(
  g: Builder,
  graph: Graph,
  { wanted, replacements, reserved = [] }: AppendOptions,
): (value: Value) => Value {
  const values = new Map(replacements);
  const taken = new Set([...givenNames(g.graph), ...reserved]);
  const nameLike = (copy: Value, { name, notes }: Value) => {
    if (notes) copy.notes ??= notes;
    if (name === undefined || copy.name !== undefined || taken.has(name)) return;
    taken.add(name);
    copy.name = name;
  };
  const copyOf = (value: Value): Value => {
    const known = values.get(value);
    if (known) return known;
    if (!value.constant) throw new Error(`graph ${graph.name} has no copy of ${value.name ?? "a value"}`);
    const name = value.name !== undefined && !taken.has(value.name) ? value.name : undefined;
    const copy = g.constant(value.constant, name);
    if (name !== undefined) taken.add(name);
    if (value.notes) copy.notes ??= value.notes;
    values.set(value, copy);
    return copy;
  };
  for (const node of nodesFor(graph, wanted)) {
    const inputs = node.inputs.map((input) => input && copyOf(input));
    const copy = g.during(node.phase, () => g.copy(node, inputs, node.name));
    copy.notes = node.notes;
    for (const [i, output] of node.outputs.entries()) {
      nameLike(copy.output(i), output);
      values.set(output, copy.output(i));
    }
  }
  return copyOf;
}

/** Returns the part of a graph that computes some of its values: the same inputs, and the nodes they need. */
export function partFor(graph: Graph, outputs: readonly Value[]): Graph {
  const part = new Graph(graph.name);
  part.inputs.push(...graph.inputs);
  part.nodes = nodesFor(graph, outputs);
  part.outputs = [...outputs];
  return part;
}

/** Returns the nodes that values depend on, in graph order. */
export function nodesFor(graph: Graph, wanted: readonly Value[]): Node[] {
  const needed = new Set<Node>();
  const pending = [...wanted];
  while (pending.length > 0) {
    const node = pending.pop()?.producer;
    if (!node || needed.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) if (input) pending.push(input);
  }
  return graph.nodes.filter((node) => needed.has(node));
}
