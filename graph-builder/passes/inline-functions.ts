import { appendBody } from "../functions.ts";
import type { Graph } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Replaces every call of a function by the function's body, until no calls are left. */
export const inlineFunctions: Pass = { name: "inline-functions", run: inline };

function inline(graph: Graph): Graph {
  if (graph.nodes.every(({ definition }) => definition === undefined)) return graph;
  return inline(
    rewriteGraph(graph, ({ definition }, inputs, g) => definition && appendBody(g, definition, inputs)),
  );
}
