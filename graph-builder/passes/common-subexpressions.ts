import type { Graph, Node, Value } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Makes one node of nodes of one operator that read the same values with the same attributes, and of nodes whose elements are known to be
 * the same, such as the number of images by the shapes of two values.
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
    if (node.operator.isRandom || isOutput(graph, node)) return undefined;
    const key = knownElements(node) ?? `${node.opType}(${inputs.map(nameOf).join()})${attributesOf(node)}`;
    const outputs = known.get(key) ?? g.copy(node, inputs, node.name).outputs;
    known.set(key, outputs);
    return outputs;
  });
}

/** What a node of one output makes, as far as it is known before a run. */
function knownElements({ outputs: [output, ...others] }: Node): string | undefined {
  const contents = others.length === 0 ? output?.contents : undefined;
  return contents && `${output?.elemType}[${output?.shape}]${contents.join()}`;
}

function attributesOf({ attributes }: Node): string {
  return JSON.stringify(attributes, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

/** A constant by its content; weights are too large to be worth the look. */
function contentOf({ constant }: Value): string | undefined {
  if (!constant || constant.data.length > 4096) return undefined;
  return `${constant.elemType}[${constant.dims}]${constant.data.join()}`;
}

/** An output of the graph keeps a node of its own, for its name. */
function isOutput(graph: Graph, { outputs }: Node): boolean {
  return outputs.some((output) => graph.outputs.includes(output));
}
