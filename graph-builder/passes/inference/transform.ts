import type { Graph, Value } from "../../ir.ts";
import { removeDeadCode } from "../remove-dead-code.ts";
import { type Rewrite, rewriteGraph } from "../rewrite.ts";
import { uniqueNames } from "../unique-names.ts";

/**
 * Applies a rewrite, which may reuse the names of replaced nodes, then removes dead code and makes names
 * unique.
 */
export function transform(graph: Graph, rewrite: Rewrite): Graph {
  return uniqueNames.run(removeDeadCode.run(rewriteGraph(graph, rewrite)));
}

/** Whether a value has exactly one reader and is no output of the graph, so that a rewrite may change it. */
export function isReadOnce(graph: Graph, value: Value | null | undefined): boolean {
  return value?.uses.length === 1 && !graph.outputs.includes(value);
}

/**
 * Returns the segments that all names have in common: `a.branch1.conv` and `a.branch2.conv` share `a.conv`.
 */
export function sharedName(names: readonly (string | undefined)[], separator: "." | "/"): string | undefined {
  const paths = names.map((name) => name?.split(separator) ?? []);
  const [first = []] = paths;
  if (paths.some(({ length }) => length !== first.length)) return undefined;
  const shared = first.filter((segment, i) => paths.every((path) => path[i] === segment));
  return shared.join(separator) || undefined;
}
