import type { Graph } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Makes names unique after a rewrite that reused the names of replaced nodes. The first node with a name
 * keeps it; the others get a new name in the same scope. A constant whose name is taken loses its name, in
 * the given graph too, because both graphs share their constants.
 */
export const uniqueNames: Pass = { name: "unique-names", run: settleNames };

function settleNames(graph: Graph): Graph {
  const paths = new Set<string>();
  const settled = rewriteGraph(graph, (node, inputs, g) => {
    const scope = node.name.split("/").slice(0, -1).join("/");
    const name = paths.has(node.name) ? undefined : node.name;
    const kept = g.within(scope, () => g.copy(node, inputs, name));
    paths.add(kept.name);
    return kept.outputs;
  });
  const taken = new Set(
    [...settled.inputs, ...settled.nodes.flatMap((node) => node.outputs)].map(({ name }) => name),
  );
  for (const constant of settled.initializers) {
    if (taken.has(constant.name)) constant.name = undefined;
    taken.add(constant.name);
  }
  return settled;
}
