import type { Graph, Node } from "../ir.ts";
import { rewriteGraph } from "../rewrite.ts";

/**
 * A graph in the blocked layout without its detours: what is put into the plain layout and back stays in blocks, and a Relu behind a
 * blocked convolution that nothing else reads is done by the convolution.
 */
export function cancelReorders(graph: Graph): Graph {
  const cancelled = rewriteGraph(graph, (node, inputs) => {
    const source = inputs[0]?.producer;
    const isDetour =
      node.opType === "ReorderInput" &&
      source?.opType === "ReorderOutput" &&
      (source as Node<"ReorderOutput">).attributes.channels_last === 0;
    return isDetour ? [source.input(0)] : undefined;
  });
  const activated = rewriteGraph(rewriteGraph(cancelled), (node, inputs, g) => {
    const conv = inputs[0]?.producer as Node<"NchwcConv"> | undefined;
    const isOwn = node.opType === "Relu" && node.input(0).uses.length === 1;
    if (!isOwn || conv?.opType !== "NchwcConv" || conv.attributes.activation) return undefined;
    const attributes = { ...conv.attributes, activation: "Relu" };
    return g.node("NchwcConv", conv.inputs, attributes, `${conv.name}_Relu`).outputs;
  });
  return rewriteGraph(activated);
}
