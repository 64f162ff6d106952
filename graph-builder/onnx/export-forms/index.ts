import type { Node } from "../../ir.ts";
import { firstOpset } from "../../operators/index.ts";
import type { KeptForm } from "../../operators/kept.ts";
import { givenAttributes } from "../../printer.ts";
import { formTable } from "../forms.ts";
import { explicitInputs } from "../keep.ts";
import { elementwiseAndReductions } from "./elementwise-and-reductions.ts";
import { refuse, type WrittenNode } from "./form.ts";
import { neural } from "./neural.ts";
import { sampling } from "./sampling.ts";
import { tensors } from "./tensors.ts";

/** The operators whose form differs from ours in some opset; import-forms/ reads the same forms. */
const formOf = formTable([...elementwiseAndReductions, ...tensors, ...neural, ...sampling]);

/**
 * Returns a node in the form that files of an opset need. Throws UserError, naming the node, where that opset
 * cannot express it.
 */
export function writtenNode(node: Node, opset: number): WrittenNode {
  const { domain, kept } = node.operator;
  if (kept) return writtenAsKept(node, kept, opset);
  const since = firstOpset(node);
  if (opset < since) {
    const own = node.operator.since;
    const what = own === since ? "the operator" : "with these attributes and types it";
    return refuse(node, opset, `${what} exists since opset ${since}`);
  }
  const ours = { inputs: node.listedInputs, attributes: givenAttributes(node) };
  return formOf(domain, node.opType, opset)?.write(node, ours, opset) ?? ours;
}

/** A node that is kept as its file has it, and so can only be written at that file's opset. */
function writtenAsKept(node: Node, kept: KeptForm, opset: number): WrittenNode {
  const own = kept.imports.get("");
  if (own !== undefined && own !== opset) {
    return refuse(node, opset, `it is kept as a file of opset ${own} has it`);
  }
  return { inputs: explicitInputs(node.inputs, kept), attributes: [] };
}
