import type { Graph, Value } from "../../ir.ts";
import { type Rewrite, rewriteGraph } from "../rewrite.ts";

/**
 * Applies a rewrite and drops what nothing needs any more. A rewrite may reuse the names of what it replaces: where the replaced is
 * still needed, the new node is named anew and the new constant loses its name.
 */
export function transform(graph: Graph, rewrite: Rewrite): Graph {
  const pruned = rewriteGraph(rewriteGraph(graph, rewrite));
  const taken = new Set(
    [...pruned.inputs, ...pruned.nodes.flatMap((node) => node.outputs)].map(({ name }) => name),
  );
  for (const constant of pruned.initializers) {
    if (taken.has(constant.name)) constant.name = undefined;
    taken.add(constant.name);
  }
  const paths = new Set<string>();
  return rewriteGraph(pruned, (node, inputs, g) => {
    const scope = node.name.split("/").slice(0, -1).join("/");
    const name = paths.has(node.name) ? undefined : node.name;
    const kept = g.within(scope, () => g.node(node.opType, inputs, node.attributes as never, name));
    paths.add(kept.name);
    return kept.outputs;
  });
}

/** Whether one node alone reads a value, which then may change with it. */
export function isReadOnce(graph: Graph, value: Value | null | undefined): boolean {
  return value?.uses.length === 1 && !graph.outputs.includes(value);
}

/** The name that paths share, segment by segment: `a.branch1.conv` and `a.branch2.conv` share `a.conv`. */
export function sharedName(names: readonly (string | undefined)[], separator: "." | "/"): string | undefined {
  const paths = names.map((name) => name?.split(separator) ?? []);
  const [first = []] = paths;
  if (paths.some(({ length }) => length !== first.length)) return undefined;
  const shared = first.filter((segment, i) => paths.every((path) => path[i] === segment));
  return shared.join(separator) || undefined;
}
