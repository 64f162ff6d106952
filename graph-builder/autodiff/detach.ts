import type { Builder } from "../builder.ts";
import type { Node, Value } from "../ir.ts";

/** The key of a node's metadata_props whose value `zero` says that no gradient passes the node. */
const GRADIENT_KEY = "training.gradient";

/**
 * Appends an Identity through which no gradient passes, and returns its output: the stop-gradient of other
 * frameworks. The node says so in its metadata, so the mark stays in a file and after a pass.
 */
export function detach(g: Builder, x: Value): Value {
  const node = g.node("Identity", [x], {});
  node.notes = { metadataProps: { [GRADIENT_KEY]: "zero" } };
  return node.output(0);
}

/** Whether a node is one that `detach` appended. */
export function isDetached({ notes }: Pick<Node, "notes">): boolean {
  return notes?.metadataProps?.[GRADIENT_KEY] === "zero";
}
