import { nodeGradients, ones } from "../../graph-builder/autodiff/autodiff.ts";
import { createBuilder, Graph, type Node, type Value } from "../../graph-builder/index.ts";
import { importNode } from "../../graph-builder/onnx/import-forms/index.ts";
import { operatorOf } from "../../graph-builder/operators/index.ts";
import { Tensor } from "../../graph-builder/tensor.ts";
import { forwardOf } from "../support/check-gradient.ts";
import type { ForeignNode } from "../support/foreign-node.ts";
import { foreignNodes } from "../support/foreign-nodes.ts";
import { gradientCases } from "../support/gradient-cases.ts";

const nodes = foreignNodes.map(({ node }) => node);

/**
 * An operator that is read as others: which ones, the indices of the inputs that have a gradient, and the
 * names of its inputs among the tests' nodes.
 */
export interface ReadAs {
  readonly operators: readonly string[];
  readonly differentiable: readonly number[];
  readonly names: readonly string[];
}

/** The names of the inputs of one of our operators for which its rule returns a gradient in some case. */
export function differentiableInputs(opType: string): string[] {
  const found = new Set<number>();
  for (const each of gradientCases.filter((given) => given.opType === opType)) {
    const { g } = forwardOf(each.test);
    for (const node of g.graph.nodes.filter((given) => given.opType === opType)) {
      for (const index of node.inputs.keys()) if (hasGradient(g, node, index)) found.add(index);
    }
  }
  const names = operatorOf(opType).inputs;
  const at = (index: number) => names[Math.min(index, names.length - 1)] ?? "";
  return [...new Set([...found].sort((a, b) => a - b).map((index) => at(index).replace(/[?.]+$/, "")))];
}

function hasGradient(g: ReturnType<typeof createBuilder>, node: Node, index: number): boolean {
  const input = node.inputs[index];
  if (!input || !isFloat(input)) return false;
  const wanted = node.inputs.map((each, i) => (i === index ? each : null));
  const [first] = node.outputs;
  // some rules take the gradient of the first output alone
  return [isFloat, (output: Value) => output === first && isFloat(output)].some((isGiven) => {
    try {
      nodeGradients(g, node, wanted, (output) => (isGiven(output) ? ones(g, output) : undefined));
      return true;
    } catch {
      return false;
    }
  });
}

function isFloat({ type }: Value): boolean {
  return type.kind === "tensor" && ["float", "double"].includes(type.elemType);
}

/**
 * What a node of another program's file is read as; undefined where there is no such node among the tests'.
 */
export function readAs(domain: string, opType: string): ReadAs | undefined {
  const examples = nodes.filter((node) => node.opType === opType && (node.domain ?? "") === domain);
  const read = examples.map(importOf);
  if (read.length === 0) return undefined;
  return {
    operators: [...new Set(read.flatMap(({ operators }) => operators))],
    differentiable: [...new Set(read.flatMap(({ differentiable }) => differentiable))].sort(),
    names: read.map(({ names }) => names).reduce((a, b) => (b.length > a.length ? b : a)),
  };
}

function importOf({
  opType,
  domain = "",
  opset,
  inputs,
  attributes = {},
  outputs = ["Y"],
}: ForeignNode): ReadAs {
  const g = createBuilder(new Graph("probe"));
  const values = inputs.map(([name, value]) => {
    if (value === null) return null;
    return value instanceof Tensor
      ? g.constant(value, name)
      : g.input(name, value.tensor.elemType, value.shape);
  });
  const made = importNode(g, {
    ...{ opType, domain, opset, name: "node", inputs: values },
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, [, value]]) => [name, value])),
    outputs: outputs.map((name) => name ?? ""),
    declared: outputs.map(() => undefined),
  });
  const forward = [...g.graph.nodes];
  const differentiable = values.flatMap((value, i) =>
    value && isReached(g, forward, made, value) ? [i] : [],
  );
  const names = inputs.map(([name]) => name);
  return { operators: forward.map((node) => node.opType), differentiable, names };
}

/** Whether a gradient comes from what a node is read as to one of its inputs. */
function isReached(
  g: ReturnType<typeof createBuilder>,
  forward: readonly Node[],
  outputs: readonly (Value | null)[],
  input: Value,
): boolean {
  if (!isFloat(input)) return false;
  const reached = new Set(outputs.filter((output) => output !== null).filter(isFloat));
  for (const node of [...forward].reverse()) {
    if (!node.outputs.some((output) => reached.has(output))) continue;
    for (const [index, each] of node.inputs.entries()) {
      if (each && hasGradient(g, node, index)) reached.add(each);
    }
  }
  return reached.has(input);
}
