import { UserError } from "../../errors.ts";
import type { Node, Value } from "../../ir.ts";
import type { GivenAttribute } from "../../printer.ts";
import type { FormRange } from "../forms.ts";

/** A node in the form that a file of some opset needs. */
export interface WrittenNode {
  /** The op_type, where it is not the node's own. */
  readonly opType?: string;
  /** The node's inputs, with new constants where the form needs them. */
  readonly inputs: readonly (Value | null)[];
  readonly attributes: readonly GivenAttribute[];
}

/** Writes an operator in a range of opsets in which its form differs from ours, which is that of opset 17. */
export interface ExportForm extends FormRange {
  /** Throws UserError where those opsets cannot express the node. */
  readonly write: (node: Node, ours: WrittenNode, opset: number) => WrittenNode;
}

/** Refuses a node that an opset cannot express. */
export function refuse(node: Node, opset: number, what: string): never {
  throw new UserError(`${node.opType} at ${node.name} cannot be written at opset ${opset}: ${what}.`, {
    code: "model-unsupported",
    details: { node: node.name, opType: node.opType, opset },
  });
}

/** An attribute of a node as the file would carry it; undefined where it has its default. */
export function attributeOf({ attributes }: WrittenNode, wanted: string): unknown {
  return attributes.find(([name]) => name === wanted)?.[2];
}

/** Before opset 13, the second input is an attribute. */
export function inputAsAttribute(opType: "Squeeze" | "Unsqueeze" | "Split", name: string): ExportForm {
  const write: ExportForm["write"] = (node, ours, opset) => secondInputAsAttribute(node, ours, name, opset);
  return { domain: "", opType, until: 13, write };
}

/** A node whose second input is an attribute; it is left out where the input is. */
export function secondInputAsAttribute(
  node: Node,
  { inputs: [data = null, input], attributes }: WrittenNode,
  name: string,
  opset: number,
): WrittenNode {
  if (!input) return { inputs: [data], attributes };
  const numbers = input.constant?.numbers();
  if (!numbers) return refuse(node, opset, `its input ${name} must be a constant before opset 13`);
  return { inputs: [data], attributes: [...attributes, [name, "ints", numbers]] };
}

/** Refuses attributes in opsets before the first that has them, unless they have their default. */
export function attributeFirstIn(since: number, opType: string, ...names: readonly string[]): ExportForm {
  const write: ExportForm["write"] = (node, ours, opset) => {
    const late = names.find((name) => attributeOf(ours, name) !== undefined);
    return late ? refuse(node, opset, `the attribute ${late} exists since opset ${since}`) : ours;
  };
  return { domain: "", opType, until: since, write };
}
