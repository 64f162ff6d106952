import type { Builder } from "../builder.ts";
import { unbroadcast } from "../composites.ts";
import type { Node, Value } from "../ir.ts";
import { freeName, givenNames, nameValues } from "../names.ts";
import type { OpType } from "../operators/index.ts";
import { floats } from "../tensor.ts";
import { formatType, sameType } from "../types.ts";
import { type Backward, type Gradient, type GradientRule, gradients } from "./gradients.ts";

/**
 * Appends the backward pass of `loss` to the graph and returns the gradient of every value in `targets`, in order.
 * Reverse mode: only nodes between the targets and the loss are visited, gradients from several uses are added,
 * broadcast axes are summed, and each gradient must have its value's type. The gradient of a value `x` is named
 * `x_grad`, with a number behind where that name is taken; the nodes behind node `n` are named `n_Grad/...`.
 * A loss that is no scalar is summed.
 *
 * `substitutes` are values that the backward pass reads in place of forward ones (beta for alpha).
 * Throws Error, naming the node, where a gradient must pass an operator, an input or an output that has none.
 */
export function appendGradients(
  g: Builder,
  loss: Value,
  targets: readonly Value[],
  substitutes: ReadonlyMap<Value, Value> = new Map(),
): Value[] {
  return g.during("backward", () => walkBack(g, loss, targets, substitutes));
}

function walkBack(
  g: Builder,
  loss: Value,
  targets: readonly Value[],
  substitutes: ReadonlyMap<Value, Value>,
): Value[] {
  const names = nameValues(g.graph);
  const taken = givenNames(g.graph);
  const varying = valuesThatVary(g.graph.nodes, targets);
  const arriving = new Map<Value, Value[]>();
  if (varying.has(loss)) arriving.set(loss, [seed(g, loss, freeName(`${names.get(loss)}_grad`, taken))]);
  const collect = (value: Value): Value | undefined => {
    const parts = arriving.get(value);
    const [first] = parts ?? [];
    if (!parts || !first) return undefined;
    const total = parts.length === 1 ? first : g.within(`${names.get(value)}_grad`, () => g.Sum(...parts));
    if (total.producer) total.name ??= freeName(`${names.get(value)}_grad`, taken);
    arriving.set(value, [total]);
    return total;
  };
  for (const node of [...g.graph.nodes].reverse()) {
    const inputs = node.inputs.map((input) => (input && varying.has(input) ? input : null));
    if (!node.outputs.some((output) => arriving.has(output)) || inputs.every((input) => !input)) continue;
    const results = g.within(`${node.name}_Grad`, () => backward(g, node, collect, substitutes));
    for (const [i, input] of inputs.entries()) {
      if (!input) continue;
      const result = results[i];
      if (!result)
        throw new Error(`the gradient of input ${i} of ${node.opType} at ${node.name} is not known`);
      const gradient = g.within(`${node.name}_Grad`, () =>
        unbroadcast(g, typeof result === "function" ? result() : result, input),
      );
      expectType(node, i, gradient, input);
      arriving.set(input, [...(arriving.get(input) ?? []), gradient]);
    }
  }
  return targets.map((target) => collect(target) ?? zeros(g, target));
}

/** The floating-point values that change when one of the targets does. */
function valuesThatVary(nodes: readonly Node[], targets: readonly Value[]): ReadonlySet<Value> {
  const varying = new Set(targets);
  for (const node of nodes) {
    if (gradients[node.opType] === "zero" || !node.inputs.some((input) => input && varying.has(input)))
      continue;
    for (const output of node.outputs) if (isFloating(output)) varying.add(output);
  }
  return varying;
}

function backward(
  g: Builder,
  node: Node,
  gradientOf: (value: Value) => Value | undefined,
  substitutes: ReadonlyMap<Value, Value>,
): ReturnType<GradientRule<OpType>> {
  const decision = gradients[node.opType] as Gradient<OpType>;
  if (typeof decision !== "function") {
    const reason = decision === "zero" ? "it is constant" : decision.none;
    throw new Error(`${node.opType} at ${node.name} has no gradient: ${reason}`);
  }
  const read = new Set<number>();
  const dO = (index: number) => {
    read.add(index);
    return gradientOf(node.output(index)) ?? zeros(g, node.output(index));
  };
  const back: Backward<OpType> = {
    node,
    attributes: node.attributes,
    I: (index) => node.input(index),
    O: (index) => node.output(index),
    get dY() {
      return dO(0);
    },
    dO,
    substitute: (value) => substitutes.get(value) ?? value,
  };
  const results = decision(g, back);
  const unread = node.outputs.findIndex((output, i) => !read.has(i) && gradientOf(output));
  if (unread >= 0)
    throw new Error(`the gradient of output ${unread} of ${node.opType} at ${node.name} is not known`);
  return results;
}

function expectType(node: Node, index: number, gradient: Value, value: Value): void {
  if (sameType(gradient.type, value.type)) return;
  const types = `${formatType(gradient.type)}, not ${formatType(value.type)}`;
  throw new Error(`the gradient of input ${index} of ${node.opType} at ${node.name} is ${types}`);
}

/** dloss = 1. */
function seed(g: Builder, loss: Value, name: string): Value {
  return loss.shape.length === 0 ? g.constant(floats(1), name) : g.Expand(g.float(1), g.Shape(loss));
}

function zeros(g: Builder, value: Value): Value {
  return g.ConstantOfShape(g.Shape(value), { value: floats([0]) });
}

function isFloating(value: Value): boolean {
  return value.type.kind === "tensor" && ["float", "float16", "double"].includes(value.elemType);
}
