import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { isOpType, operatorOf } from "../../operators/index.ts";
import { unsupported } from "../../operators/inference.ts";
import { ShapeError, UnsupportedError } from "../../operators/schema.ts";
import { formTable } from "../forms.ts";
import { columns } from "./columns.ts";
import { deformable } from "./deform-conv.ts";
import { elementwiseAndReductions } from "./elementwise-and-reductions.ts";
import type { ForeignNode, ImportForm, NodeForm } from "./form.ts";
import { fused } from "./fused.ts";
import { fusedAttention } from "./fused-attention.ts";
import { machineLearning } from "./machine-learning.ts";
import { neural } from "./neural.ts";
import { normalization } from "./normalization.ts";
import { places } from "./places.ts";
import { sampling } from "./sampling.ts";
import { signal } from "./signal.ts";
import { stateful } from "./stateful.ts";
import { tensors } from "./tensors.ts";
import { windows } from "./windows.ts";

/** The operators without a counterpart among ours, and those whose form differs from ours in some opset. */
export const importForms: readonly ImportForm[] = [
  ...tensors,
  ...elementwiseAndReductions,
  ...neural,
  ...normalization,
  ...places,
  ...columns,
  ...sampling,
  ...signal,
  ...windows,
  ...deformable,
  ...stateful,
  ...machineLearning,
  ...fused,
  ...fusedAttention,
];

const formOf = formTable(importForms);

/**
 * Appends a node of a file to the graph and returns its outputs. Throws Error with the node's name where its
 * operator is not supported, an attribute is unknown, or the inputs do not fit the operator.
 */
export function importNode(g: Builder, node: ForeignNode): readonly (Value | null)[] {
  const form = formOf(node.domain, node.opType, node.opset);
  const read = form ? g.within(node.name, () => readForm(g, node, form)) : node;
  return isForm(read) ? ownNode(g, node, read) : read;
}

function readForm(g: Builder, node: ForeignNode, form: ImportForm): NodeForm | readonly (Value | null)[] {
  try {
    return form.read(g, node);
  } catch (error) {
    if (!(error instanceof ShapeError) || error.path !== undefined) throw error;
    const Kind = error instanceof UnsupportedError ? UnsupportedError : ShapeError;
    throw new Kind(`${node.opType} at ${node.name}: ${error.message}`, node.name);
  }
}

function isForm(read: NodeForm | readonly (Value | null)[]): read is NodeForm {
  return "attributes" in read;
}

/** Appends a node in the form of one of our operators. */
function ownNode(
  g: Builder,
  { domain, opType, name, declared }: ForeignNode,
  { inputs, attributes }: NodeForm,
): readonly Value[] {
  if (!isOpType(opType) || operatorOf(opType).domain !== domain) {
    return unsupported(`operator ${domain ? `${domain}.` : ""}${opType} at ${name} is not supported`);
  }
  const specs = operatorOf(opType).attributes;
  const stranger = Object.keys(attributes).find((attribute) => !Object.hasOwn(specs, attribute));
  if (stranger) return unsupported(`${opType} at ${name} has an unknown attribute ${stranger}`);
  const types = declared.filter((type) => type?.kind === "tensor");
  const given = types.length === declared.length && types.length > 0 ? types : undefined;
  return g.nodeFrom(opType, inputs, attributes, name, given).outputs;
}
