import type { Graph } from "../ir.ts";
import type { Pass } from "./pass.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Settles the names that a rewrite has given twice, because it reused those of what it replaced. The first node of a name keeps it, and
 * the others are named anew in their scope; a constant loses a name that is taken. The constants of the given graph lose theirs too.
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
