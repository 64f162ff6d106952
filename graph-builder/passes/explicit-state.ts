import { type Binding, type BoundGraph, isControl, outputOf } from "../bindings.ts";
import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import { type Graph, isOp, type Node, type Value } from "../ir.ts";
import { freeName, givenNames } from "../names.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { Pass } from "./pass.ts";
import { removeDeadCode } from "./remove-dead-code.ts";
import { neededNodes, rewriteGraph } from "./rewrite.ts";

/**
 * Makes a graph free of side effects. ONNX Runtime's training kernels write into some of their inputs; this
 * pass returns the written values as outputs `<input>_next`, with a number appended where the name is taken.
 * - InPlaceAccumulatorV2(buffer, value, overwrite): the output is overwrite ? value : buffer + value. Its
 *   "updated" flag is removed from the outputs, and so are outputs that are computed from such flags alone.
 * - BatchNormInternal, and BatchNormalization in training mode: the outputs are the running statistics,
 *   where no node reads them already.
 * Throws UserError where two nodes write into one input.
 */
export const explicitState: Pass = { name: "explicit-state", run: makeExplicit };

/** Returns the graph after `explicitState`, with the outputs that the pass adds entered in the bindings. */
export function withExplicitState(bound: BoundGraph): BoundGraph {
  return { graph: explicitState.run(bound.graph), bindings: explicitBindings(bound) };
}

/**
 * Returns the bindings of a graph after `explicitState`. A constant becomes a statistic where a node writes
 * into it.
 */
export function explicitBindings({ graph, bindings }: BoundGraph): Binding[] {
  const outputs = new Map(effectsOf(graph).map(({ input, output }) => [input, output]));
  return bindings.map((binding) => {
    const output = binding.input === undefined ? undefined : outputs.get(binding.input);
    if (output === undefined || outputOf(binding) !== undefined) return binding;
    if (isControl(binding)) return binding;
    if (binding.role === "constant") return { ...binding, role: "statistic", output };
    return { ...binding, output };
  });
}

/** An input that a node writes into, and the name of the output that returns the written value. */
interface Effect {
  readonly input: string;
  readonly output: string;
  readonly node: Node;
  /** The index of the node's output that holds the written value. */
  readonly index: number;
}

/**
 * Throws UserError where two nodes write into one input, because the result then depends on the order of
 * execution.
 */
function effectsOf(graph: Graph): Effect[] {
  const taken = givenNames(graph);
  const inputs = new Set(graph.inputs);
  const changed = new Set<string>();
  const written = neededNodes(graph).flatMap((node) =>
    writtenInputs(graph, node).flatMap(({ value, index }) =>
      value?.name !== undefined && inputs.has(value) ? [{ input: value.name, node, index }] : [],
    ),
  );
  return written.map((effect) => {
    if (changed.has(effect.input)) throw changedTwice(graph, effect.input);
    changed.add(effect.input);
    return { ...effect, output: freeName(`${effect.input}_next`, taken) };
  });
}

function changedTwice({ name }: Graph, input: string): UserError {
  return new UserError(`Two nodes of the graph ${name} change its input ${input}.`, {
    code: "model-unsupported",
    details: { graph: name, input },
  });
}

/** The values that a node writes into, each with the index of the output that holds the written value. */
function writtenInputs(graph: Graph, node: Node): { value: Value | null | undefined; index: number }[] {
  if (node.opType === "InPlaceAccumulatorV2") return [{ value: node.inputs[0], index: 1 }];
  if (!updatesStatistics(node)) return [];
  const isRead = (index: number) =>
    node.output(index).uses.length > 0 || graph.outputs.includes(node.output(index));
  return [1, 2].filter((index) => !isRead(index)).map((index) => ({ value: node.inputs[index + 2], index }));
}

function makeExplicit(graph: Graph): Graph {
  const effects = effectsOf(graph);
  const states: { name: string; value: Value }[] = [];
  const flags = new Set<Value>();
  const keep = (node: Node, outputs: readonly (Value | null | undefined)[]) => {
    for (const effect of effects) {
      const value = effect.node === node ? outputs[effect.index] : undefined;
      if (value) states.push({ name: effect.output, value });
    }
    return outputs;
  };
  const explicit = rewriteGraph(graph, (node, inputs, g) => {
    if (node.opType === "InPlaceAccumulatorV2") {
      flags.add(node.output(0));
      const next = accumulated(g, inputs);
      return keep(node, [g.Cast(g.float([1]), { to: dataTypeNumbers.bool }), next]);
    }
    if (node.inputs.length > 0 && node.inputs.every((input) => input && flags.has(input))) {
      for (const output of node.outputs) flags.add(output);
    }
    if (!updatesStatistics(node)) return undefined;
    return keep(node, g.copy(node, inputs, node.name).outputs);
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
  if (!buffer || !value) throw new Error("InPlaceAccumulatorV2 needs a buffer and a value");
  const known = overwrite?.constant?.numbers()[0];
  if (known) return value;
  const sum = g.Add(buffer, value);
  return overwrite && known === undefined ? g.Where(overwrite, value, sum) : sum;
}

function updatesStatistics(node: Node): boolean {
  return node.opType === "BatchNormInternal" || isTraining(node);
}

function isTraining(node: Node): boolean {
  return isOp(node, "BatchNormalization") && node.attributes.training_mode === 1;
}
