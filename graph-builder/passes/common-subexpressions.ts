import type { Graph, Node, Value } from "../ir.ts";
import { elementText } from "../tensor.ts";
import type { Pass } from "./pass.ts";
import { copyWithin, rewriteGraph } from "./rewrite.ts";

/**
 * Merges nodes of the same operator that read the same values with the same attributes. It also merges nodes
 * whose output elements are known to be equal, such as the batch size taken from the shapes of two values.
 */
export const mergeCommonSubexpressions: Pass = { name: "merge-common-subexpressions", run: merge };

function merge(graph: Graph): Graph {
  const names = new Map<Value, string>();
  const known = new Map<string, readonly Value[]>();
  const nameOf = (value: Value | null) => {
    if (!value) return "";
    const name = names.get(value) ?? contentOf(value) ?? String(names.size);
    names.set(value, name);
    return name;
  };
  return rewriteGraph(graph, (node, inputs, g) => {
    if (node.subgraph) return copyWithin(node, inputs, g, merge);
    if (node.operator.isRandom || isOutput(graph, node)) return undefined;
    const key = knownElements(node) ?? `${node.opType}(${inputs.map(nameOf).join()})${attributesOf(node)}`;
    const outputs = known.get(key) ?? g.copy(node, inputs, node.name).outputs;
    known.set(key, outputs);
    return outputs;
  });
}

/** The type and the elements of a node's only output, where they are known before a run. */
function knownElements({ outputs: [output, ...others] }: Node): string | undefined {
  const contents = others.length === 0 ? output?.contents : undefined;
  return contents && `${output?.elemType}[${output?.shape}]${contents.map(elementText).join()}`;
}

function attributesOf({ attributes }: Node): string {
  return JSON.stringify(attributes, (_, value: unknown) => (isInJson(value) ? value : elementText(value)));
}

/** Whether JSON can say a value: it writes null for an infinite number and for NaN, and 0 for -0. */
function isInJson(value: unknown): boolean {
  if (typeof value !== "number") return typeof value !== "bigint";
  return Number.isFinite(value) && !Object.is(value, -0);
}

/**
 * A key for a constant's content; undefined for a large constant, because it would cost too much to compare.
 */
function contentOf({ constant }: Value): string | undefined {
  if (!constant || constant.data.length > 4096) return undefined;
  return constant.key;
}

/** Whether a node makes an output of the graph: it is not merged, because the output must keep its name. */
function isOutput(graph: Graph, { outputs }: Node): boolean {
  return outputs.some((output) => graph.outputs.includes(output));
}
