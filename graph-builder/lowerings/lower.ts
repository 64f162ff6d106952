import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { type Attributes, isOpType, type OpType } from "../operators/index.ts";
import type { Pass } from "../passes/pass.ts";
import { rewriteGraph } from "../passes/rewrite.ts";

/** What a lowering sees of the node it replaces: inputs `I(i)`, attributes, and which outputs something reads. */
export interface Call<K extends OpType> {
  readonly I: (index: number) => Value;
  /** The input at `index`, or null where it was left out. */
  readonly optional: (index: number) => Value | null;
  readonly attributes: Attributes<K>;
  readonly isUsed: (output: number) => boolean;
  /** The node itself, in the graph before the lowering. */
  readonly node: Node<K>;
}

/**
 * How a device does an operator: appends ordinary nodes and returns a value per output, null for one that nothing reads. A rule that
 * declines returns undefined and has appended nothing; then the layer below decides, and below the last layer the operator stays.
 */
export type Lower<K extends OpType> = (g: Builder, call: Call<K>) => readonly (Value | null)[] | undefined;

/** A device's way for the operators it lacks or does better in another form; what is not in the table stays. */
export type Lowering = { readonly [K in OpType]?: Lower<K> };

/** The lowering that asks `rules` first and `base` where they decline. */
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

/** The pass that replaces every operator of a table; outputs, names and results stay, and so do calls of functions. */
export function lower(lowering: Lowering): Pass {
  return { name: "lower", run: (graph) => replaceOperators(graph, lowering) };
}

function replaceOperators(graph: Graph, lowering: Lowering): Graph {
  const used = usedOutputs(graph);
  return rewriteGraph(graph, (node, inputs, g) => {
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
