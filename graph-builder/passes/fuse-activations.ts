import { type Graph, isOp } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Fuses a Relu into the NchwcConv before it, where the Relu is the only reader of the convolution. */
export const fuseActivations: Pass = {
  name: "fuse-activations",
  run: (graph) => (graph.nodes.some(({ opType }) => opType === "NchwcConv") ? fuse(graph) : graph),
};

function fuse(graph: Graph): Graph {
  return rewriteGraph(graph, (node, inputs, g) => {
    const conv = inputs[0]?.producer;
    const isOwn = node.opType === "Relu" && node.input(0).uses.length === 1;
    if (!isOwn || !isOp(conv, "NchwcConv") || conv.attributes.activation) return undefined;
    const attributes = { ...conv.attributes, activation: "Relu" };
    return g.node("NchwcConv", conv.inputs, attributes, `${conv.name}_Relu`).outputs;
  });
}
