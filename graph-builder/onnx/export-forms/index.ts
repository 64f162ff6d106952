import type { Node } from "../../ir.ts";
import { firstOpset } from "../../operators/index.ts";
import { givenAttributes } from "../../printer.ts";
import { formTable } from "../forms.ts";
import { elementwiseAndReductions } from "./elementwise-and-reductions.ts";
import { refuse, type WrittenNode } from "./form.ts";
import { neural } from "./neural.ts";
import { tensors } from "./tensors.ts";

/** The operators whose form differs from ours in some opset; import-forms/ reads the same forms. */
const formOf = formTable([...elementwiseAndReductions, ...tensors, ...neural]);

/**
 * Returns a node in the form that files of an opset need. Throws UserError, naming the node, where that opset
 * cannot express it.
 */
export function writtenNode(node: Node, opset: number): WrittenNode {
  const { domain } = node.operator;
  const since = firstOpset(node.operator, node.attributes);
  if (opset < since) {
    const what = typeof node.operator.since === "number" ? "the operator" : "with these attributes it";
    return refuse(node, opset, `${what} exists since opset ${since}`);
  }
  const ours = { inputs: node.inputs, attributes: givenAttributes(node) };
  return formOf(domain, node.opType, opset)?.write(node, ours, opset) ?? ours;
}
