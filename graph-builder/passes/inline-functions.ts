import { appendBody } from "../functions.ts";
import type { Graph } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { copyWithin, rewriteGraph } from "./rewrite.ts";

/** Replaces every call of a function by the function's body, until no calls are left. */
export const inlineFunctions: Pass = { name: "inline-functions", run: inline };

function inline(graph: Graph): Graph {
  if (graph.withInnerGraphs().every(({ nodes }) => nodes.every((node) => node.definition === undefined)))
    return graph;
  return inline(
    rewriteGraph(graph, (node, inputs, g) =>
      node.definition ? appendBody(g, node.definition, inputs) : copyWithin(node, inputs, g, inline),
    ),
  );
}
