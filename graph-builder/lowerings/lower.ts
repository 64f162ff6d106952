import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import type { Attributes, OpType } from "../operators/index.ts";
import { cancelReorders } from "../passes/cancel-reorders.ts";
import { mergeCommonSubexpressions } from "../passes/common-subexpressions.ts";
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
 * How a device does an operator: appends ordinary nodes and returns a value per output, null for one that nothing reads; or undefined,
 * where the operator stays as it is.
 */
export type Lower<K extends OpType> = (g: Builder, call: Call<K>) => readonly (Value | null)[] | undefined;

/** A device's way for the operators it lacks or does better in another form; what is not in the table stays. */
export type Lowering = { readonly [K in OpType]?: Lower<K> };

/** A new graph in which every operator of the table is replaced; outputs, names and results stay. */
export function lowerGraph(graph: Graph, lowering: Lowering): Graph {
  const used = usedOutputs(graph);
  const lowered = rewriteGraph(graph, (node, inputs, g) => {
    const lower = lowering[node.opType] as Lower<OpType> | undefined;
    return lower?.(g, {
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
  return mergeCommonSubexpressions(cancelReorders(lowered));
}

function usedOutputs(graph: Graph): ReadonlySet<Value> {
  const read = graph.nodes.flatMap((node) => node.inputs.filter((input) => input !== null));
  return new Set([...read, ...graph.outputs]);
}
