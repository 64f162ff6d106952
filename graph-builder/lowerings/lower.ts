import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { type Attributes, isOpType, type OpType } from "../operators/index.ts";
import type { Pass } from "../passes/pass.ts";
import { removeDeadCode } from "../passes/remove-dead-code.ts";
import { copyWithin, rewriteGraph } from "../passes/rewrite.ts";

/**
 * The node that a lowering rule replaces: its inputs `I(i)` in the new graph, its attributes, and its used
 * outputs.
 */
export interface Call<K extends OpType> {
  readonly I: (index: number) => Value;
  /** The input at `index`, or null where the node has none. */
  readonly optional: (index: number) => Value | null;
  readonly attributes: Attributes<K>;
  readonly isUsed: (output: number) => boolean;
  /** The node itself, in the graph before the lowering. */
  readonly node: Node<K>;
}

/**
 * A rule that replaces an operator for a device. It appends nodes and returns one value per output, null for
 * an unused output. A rule may decline: it then returns undefined and appends nothing, and the layer below
 * decides. Where every layer declines, the operator stays.
 */
export type Lower<K extends OpType> = (g: Builder, call: Call<K>) => readonly (Value | null)[] | undefined;

/**
 * The rules for the operators that a device lacks or computes faster in another form. All other operators
 * stay.
 */
export type Lowering = { readonly [K in OpType]?: Lower<K> };

/** Returns the lowering that tries `rules` first, and `base` where they decline. */
export function layer(base: Lowering, rules: Lowering): Lowering {
  const layered = Object.keys(rules)
    .filter(isOpType)
    .map((opType) => {
      const [rule, below] = [ruleOf(rules, opType), ruleOf(base, opType)];
      const both: Lower<OpType> = (g, call) => rule?.(g, call) ?? below?.(g, call);
      return [opType, both] as const;
    });
  return { ...base, ...Object.fromEntries(layered) };
}

function ruleOf(lowering: Lowering, opType: OpType): Lower<OpType> | undefined {
  return lowering[opType] as Lower<OpType> | undefined;
}

function isOperator(node: Node): node is Node & Node<OpType> {
  return isOpType(node.opType);
}

/**
 * Returns the pass that replaces every operator of a lowering. Outputs, their names and results stay; so do
 * function calls.
 */
export function lower(lowering: Lowering): Pass {
  return { name: "lower", run: (graph) => replaceOperators(graph, lowering) };
}

function replaceOperators(graph: Graph, lowering: Lowering): Graph {
  const used = usedOutputs(graph);
  return rewriteGraph(graph, (node, inputs, g) => {
    if (node.subgraph)
      return copyWithin(node, inputs, g, (body) => removeDeadCode.run(replaceOperators(body, lowering)));
    if (!isOperator(node)) return undefined;
    return ruleOf(lowering, node.opType)?.(g, {
      I: (index) => {
        const value = inputs[index];
        if (!value) throw new Error(`${node.opType} at ${node.name} has no input ${index}`);
        return value;
      },
      optional: (index) => inputs[index] ?? null,
      attributes: node.attributes,
      isUsed: (output) => used.has(node.output(output)),
      node,
    });
  });
}

function usedOutputs(graph: Graph): ReadonlySet<Value> {
  const read = graph.nodes.flatMap((node) => node.inputs.filter((input) => input !== null));
  return new Set([...read, ...graph.outputs]);
}
