import type { Graph, Value } from "./ir.ts";
import { operatorOf } from "./operators/index.ts";

/**
 * The name of every value of a graph as its file has it: given names as they are, the others after their node
 * (`stage1.block0.Conv_0`, further outputs with the operator's name for them), constants `constant_0` and on.
 * Throws Error where two values claim one name.
 */
export function nameValues(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const give = (value: Value, name: string) => {
    if (names.has(value)) return;
    if (taken.has(name)) throw new Error(`graph ${graph.name} has two values named ${name}`);
    taken.add(name);
    names.set(value, name);
  };
  for (const value of graph.inputs) give(value, value.name ?? "");
  for (const [i, value] of graph.initializers.entries()) give(value, value.name ?? `constant_${i}`);
  for (const node of graph.nodes) {
    const stem = node.name.replaceAll("/", ".");
    for (const [i, value] of node.outputs.entries()) {
      const suffix = i === 0 ? "" : `.${(operatorOf(node.opType).outputs[i] ?? String(i)).replace("?", "")}`;
      give(value, value.name ?? `${stem}${suffix}`);
    }
  }
  return names;
}

/** Whether a node's output is read by a node or is an output of the graph; the file leaves the others out. */
export function isUsed(graph: Graph, value: Value): boolean {
  return value.uses.length > 0 || graph.outputs.includes(value);
}
