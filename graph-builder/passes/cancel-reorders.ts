import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { rewriteGraph } from "./rewrite.ts";

/** [N, C, H, W] to [H, W, N, C], or back. */
const PIXELS_FIRST = "2,3,0,1";

/**
 * A graph in the blocked layout without its detours: what is put into the plain layout and back stays in blocks, what goes on with its
 * pixels in front or comes from there takes the way with the channels last, and a Relu behind a blocked convolution that nothing else
 * reads is done by the convolution.
 */
export function cancelReorders(graph: Graph): Graph {
  const cancelled = rewriteGraph(graph, (node, [input], g) =>
    input ? shorterWay(g, node, input) : undefined,
  );
  return rewriteGraph(rewriteGraph(cancelled), (node, inputs, g) => {
    const conv = inputs[0]?.producer as Node<"NchwcConv"> | undefined;
    const isOwn = node.opType === "Relu" && node.input(0).uses.length === 1;
    if (!isOwn || conv?.opType !== "NchwcConv" || conv.attributes.activation) return undefined;
    const attributes = { ...conv.attributes, activation: "Relu" };
    return g.node("NchwcConv", conv.inputs, attributes, `${conv.name}_Relu`).outputs;
  });
}

/** The value of a reorder by a shorter way from where its input came from. */
function shorterWay(g: Builder, node: Node, { producer }: Value): Value[] | undefined {
  if (node.opType === "ReorderInput") {
    if (isPlainOutput(producer)) return [producer.input(0)];
    if (!isPixelsFirst(producer)) return undefined;
    const channelsLast = g.Transpose(producer.input(0), { perm: [2, 0, 1, 3] });
    return [g.ReorderInput(channelsLast, { channels_last: 1 })];
  }
  if (!isPixelsFirst(node) || !isPlainOutput(producer)) return undefined;
  const { channels } = producer.attributes;
  const channelsLast = g.ReorderOutput(producer.input(0), { channels, channels_last: 1 });
  return [g.Transpose(channelsLast, { perm: [1, 2, 0, 3] })];
}

function isPlainOutput(node: Node | undefined): node is Node<"ReorderOutput"> & Node {
  return node?.opType === "ReorderOutput" && (node as Node<"ReorderOutput">).attributes.channels_last === 0;
}

function isPixelsFirst(node: Node | undefined): node is Node<"Transpose"> & Node {
  return node?.opType === "Transpose" && (node as Node<"Transpose">).attributes.perm?.join() === PIXELS_FIRST;
}
