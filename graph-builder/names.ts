import type { Graph, Node, Subgraph, Value } from "./ir.ts";

/**
 * The name of every value of a graph in its file. A value that was given a name keeps it. Other values are
 * named after their node (`stage1.block0.Conv_0`; further outputs get the operator's name for them as a
 * suffix), and constants are `constant_0`, `constant_1` and so on. A name that is taken gets a number as a
 * suffix. Throws Error where two values were given the same name.
 */
export function nameValues(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const values = [...graph.inputs, ...graph.initializers, ...graph.nodes.flatMap((node) => node.outputs)];
  for (const value of values) {
    if (value.name === undefined || names.has(value)) continue;
    if (taken.has(value.name)) throw new Error(`graph ${graph.name} has two values named ${value.name}`);
    taken.add(value.name);
    names.set(value, value.name);
  }
  let constants = 0;
  for (const value of values) {
    if (names.has(value)) continue;
    const stem = value.producer ? nameAfterProducer(value) : `constant_${constants++}`;
    names.set(value, freeName(stem, taken));
  }
  return names;
}

/**
 * The names of all values of a node's subgraph, and of those around it: what the subgraph captures has the
 * outer name, and no other name of it is one from around, as ONNX wants.
 */
export function nameSubgraph(
  { graph, captured }: Subgraph,
  { inputs }: Node,
  outer: ReadonlyMap<Value, string>,
): Map<Value, string> {
  const names = new Map(outer);
  const taken = new Set(outer.values());
  for (const [value, name] of nameValues(graph)) names.set(value, freeName(name, taken));
  const own = graph.inputs.length - captured;
  for (const [i, value] of graph.inputs.slice(own).entries()) {
    const read = inputs[own + i];
    if (read) names.set(value, names.get(read) ?? "");
  }
  return names;
}

/** The names that the values of a graph were given, a new set at every call. */
export function givenNames(graph: Graph): Set<string> {
  const values = [...graph.inputs, ...graph.initializers, ...graph.nodes.flatMap((node) => node.outputs)];
  return new Set(values.flatMap(({ name }) => name ?? []));
}

/** The name of a value that must have one. */
export function nameOf({ name }: Value): string {
  if (name === undefined) throw new TypeError("a value has no name");
  return name;
}

/** The stem as a name, with a number behind where that is taken; the name is taken then. */
export function freeName(stem: string, taken: Set<string>): string {
  let name = stem;
  for (let i = 1; taken.has(name); i++) name = `${stem}_${i}`;
  taken.add(name);
  return name;
}

/** Whether a node's output is read by a node or is an output of the graph; the file leaves the others out. */
export function isUsed(graph: Graph, value: Value): boolean {
  return value.uses.length > 0 || graph.outputs.includes(value);
}

/**
 * The names of a node's outputs as the file lists them: empty for one that is left out, and without those at
 * the end.
 */
export function outputNames(graph: Graph, node: Node, names: ReadonlyMap<Value, string>): string[] {
  const { outputs, obligatoryOutputs } = node.operator;
  const isObligatory = (index: number) =>
    obligatoryOutputs ? index < obligatoryOutputs(node.attributes) : !outputs[index]?.endsWith("?");
  const listed = node.outputs.map((value, i) =>
    isObligatory(i) || isUsed(graph, value) ? (names.get(value) ?? "") : "",
  );
  while (listed.at(-1) === "") listed.pop();
  return listed;
}

function nameAfterProducer(value: Value): string {
  const { name = "", operator, outputs = [] } = value.producer ?? {};
  const index = outputs.indexOf(value);
  const stem = name.replaceAll("/", ".");
  if (index === 0 || operator === undefined) return stem;
  return `${stem}.${(operator.outputs[index] ?? String(index)).replace("?", "")}`;
}
