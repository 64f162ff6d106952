import { isOp, type Node, type Value } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Removes conversions between ONNX's layout [N, C, H, W] and the blocked layout (operators/nchwc.ts): a
 * ReorderOutput and the ReorderInput behind it cancel out.
 */
export const cancelReorders: Pass = {
  name: "cancel-reorders",
  run: (graph) =>
    graph.nodes.some(isReorder)
      ? rewriteGraph(graph, (node, [input]) => (input ? beforeBoth(node, input.producer) : undefined))
      : graph,
};

function isReorder({ opType }: Node): boolean {
  return opType === "ReorderInput" || opType === "ReorderOutput";
}

/** What a ReorderOutput read, where `node` is the ReorderInput behind it. */
function beforeBoth(node: Node, previous: Node | undefined): Value[] | undefined {
  if (!isOp(node, "ReorderInput") || !isOp(previous, "ReorderOutput")) return undefined;
  if (node.attributes.channels_last !== 0 || previous.attributes.channels_last !== 0) return undefined;
  return [previous.input(0)];
}
