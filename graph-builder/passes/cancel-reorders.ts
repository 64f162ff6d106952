import type { Builder } from "../builder.ts";
import { isOp, type Node, type Value } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** The permutation from [N, C, H, W] to [H, W, N, C], which is also the permutation back. */
const PIXELS_FIRST = "2,3,0,1";

/**
 * Removes conversions between ONNX's layout [N, C, H, W] and the blocked layout (operators/nchwc.ts).
 * A ReorderOutput and the ReorderInput behind it cancel out. Where a Transpose to [H, W, N, C] or back
 * meets a reorder, the reorder reads or writes channels last ([N, H, W, C]), so that the Transpose
 * leaves the channels innermost.
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

/**
 * The output of a reorder or Transpose, computed from its producer's input; undefined where the two do not
 * cancel.
 */
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
  return isOp(node, "ReorderOutput") && node.attributes.channels_last === 0;
}

function isPixelsFirst(node: Node | undefined): node is Node<"Transpose"> & Node {
  return isOp(node, "Transpose") && node.attributes.perm?.join() === PIXELS_FIRST;
}
