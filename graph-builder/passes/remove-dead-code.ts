import type { Pass } from "./pass.ts";
import { copyGraph, neededNodes } from "./rewrite.ts";

/** Removes the nodes that no output depends on. Unread inputs stay, because callers still feed them. */
export const removeDeadCode: Pass = {
  name: "remove-dead-code",
  run: (graph) => (neededNodes(graph).length === graph.nodes.length ? graph : copyGraph(graph)),
};
