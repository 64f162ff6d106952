import type { Builder } from "../builder.ts";
import type { Node, Value } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** [N, C, H, W] to [H, W, N, C], or back. */
const PIXELS_FIRST = "2,3,0,1";

/**
 * Shortens the ways into and out of the blocked layout (operators/nchwc.ts): a value that is put into the plain layout and back stays in
 * blocks, and one that goes on with its pixels first, or comes from there, is reordered with its channels last.
 */
export const cancelReorders: Pass = {
  name: "cancel-reorders",
  run: (graph) =>
    graph.nodes.some(isReorder)
      ? rewriteGraph(graph, (node, [input], g) => (input ? shorterWay(g, node, input) : undefined))
      : graph,
};

function isReorder({ opType }: Node): boolean {
  return opType === "ReorderInput" || opType === "ReorderOutput";
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
