import { type Graph, type Node, UserError } from "../graph-builder/index.ts";

/** Whether a node makes values of an unknown type that others read. */
export function makesUnknown({ outputs }: Node): boolean {
  return outputs.some(({ type, uses }) => type.kind === "other" && uses.length > 0);
}

/** Why a node makes values of an unknown type: a clause that names the node. */
export function reasonOfUnknown({ name, opType, operator }: Node): string {
  return operator.kept?.reason ?? `${opType} at ${name} makes values of an unknown type`;
}

/**
 * Throws UserError where what the loss reads comes from a node that is not covered, so that its type is
 * unknown.
 */
export function expectKnownTypes({ nodes }: Graph): void {
  const unknown = nodes.find(makesUnknown);
  if (!unknown) return;
  const { name, opType } = unknown;
  const reason = reasonOfUnknown(unknown);
  throw new UserError(`The model cannot be trained: ${reason}.`, {
    code: "model-unsupported",
    details: { node: name, opType, reason },
  });
}
