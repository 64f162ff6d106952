import type { Node } from "../../ir.ts";
import { givenAttributes } from "../../printer.ts";
import { formTable } from "../forms.ts";
import { elementwiseAndReductions } from "./elementwise-and-reductions.ts";
import type { WrittenNode } from "./form.ts";
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
  const ours = { inputs: node.inputs, attributes: givenAttributes(node) };
  return formOf(domain, node.opType, opset)?.write(node, ours, opset) ?? ours;
}
