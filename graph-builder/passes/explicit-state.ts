import { type Builder, createBuilder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { removeDeadCode } from "./remove-dead-code.ts";
import { rewriteGraph } from "./rewrite.ts";

/** The name under which a graph returns the new contents of one of its inputs. */
export function nextName(input: string): string {
  return `${input}_next`;
}

/**
 * A graph without hidden effects: what ONNX Runtime's training kernels write into their inputs becomes outputs.
 * - InPlaceAccumulatorV2(buffer, value, overwrite): `<buffer>_next` = overwrite ? value : buffer + value; its flag, and what
 *   follows from flags alone, is no output any more.
 * - BatchNormInternal, and BatchNormalization in training mode: `<running statistic>_next`, where nothing read the new statistics.
 */
export function withExplicitState(graph: Graph): Graph {
  const states: { name: string; value: Value }[] = [];
  const flags = new Set<Value>();
  const keep = (g: Builder, input: Value | null, value: Value) => {
    if (!input?.name || !g.graph.inputs.includes(input)) return;
    states.push({ name: nextName(input.name), value });
  };
  const explicit = rewriteGraph(graph, (node, inputs, g) => {
    if (node.opType === "InPlaceAccumulatorV2") {
      flags.add(node.output(0));
      const next = accumulated(g, inputs);
      keep(g, inputs[0] ?? null, next);
      return [g.Cast(g.float([1]), { to: dataTypeNumbers.bool }), next];
    }
    if (node.inputs.length > 0 && node.inputs.every((input) => input && flags.has(input))) {
      for (const output of node.outputs) flags.add(output);
    }
    if (!updatesStatistics(node)) return undefined;
    const { outputs } = g.node(node.opType, inputs, node.attributes as never, node.name);
    for (const i of [1, 2]) {
      const isRead = node.output(i).uses.length > 0 || graph.outputs.includes(node.output(i));
      if (!isRead) keep(g, inputs[i + 2] ?? null, node.output(i) && (outputs[i] as Value));
    }
    return outputs;
  });
  const names = new Set(graph.outputs.filter((output) => flags.has(output)).map((output) => output.name));
  explicit.outputs = explicit.outputs.filter((output) => !names.has(output.name));
  const g = createBuilder(explicit);
  for (const { name, value } of states) {
    if (!explicit.outputs.includes(value)) value.name = name;
    g.output(value, name);
  }
  return removeDeadCode.run(explicit);
}

function accumulated(g: Builder, [buffer, value, overwrite]: readonly (Value | null)[]): Value {
  if (!buffer || !value) throw new Error("InPlaceAccumulatorV2 lacks its buffer or value");
  const known = overwrite?.constant?.numbers()[0];
  if (known) return value;
  const sum = g.Add(buffer, value);
  return overwrite && known === undefined ? g.Where(overwrite, value, sum) : sum;
}

function updatesStatistics(node: Node): boolean {
  return node.opType === "BatchNormInternal" || isTraining(node);
}

function isTraining(node: Node): boolean {
  return (
    node.opType === "BatchNormalization" &&
    (node as Node<"BatchNormalization">).attributes.training_mode === 1
  );
}
