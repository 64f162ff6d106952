import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { refuse } from "../../operators/inference.ts";
import type { ValueType } from "../../types.ts";
import type { FormRange } from "../forms.ts";

/** The inputs and attributes of a node. */
export interface NodeForm {
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A node in the form that a file has it in, at the file's opset. */
export interface ForeignNode extends NodeForm {
  /** The domain, empty for ai.onnx. */
  readonly domain: string;
  readonly opType: string;
  /** The node's name in errors and in the graph. */
  readonly name: string;
  /** The version of its domain that the file imports. */
  readonly opset: number;
  /**
   * The names of the outputs in the file, empty for one that is left out; none where the node is inside a
   * function or a branch, whose constants have no names either.
   */
  readonly outputs: readonly string[];
  /** The types that the file declares for the outputs, one per output. */
  readonly declared: readonly (ValueType | undefined)[];
}

/**
 * Reads a node whose form in the file differs from that of our operator. `read` returns the node in our
 * operator's form, or the outputs of other operators that compute the same, with null for one that the file
 * does not use. It throws ShapeError, without the node's name, where it can do neither.
 */
export interface ImportForm extends FormRange {
  readonly read: (g: Builder, node: ForeignNode) => NodeForm | readonly (Value | null)[];
}

/** Refuses an attribute that is not a list of numbers. */
export function numberList(name: string, value: unknown): number[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === "number")) return value;
  return refuse(`attribute ${name} must be a list of numbers`);
}

/** Before opset 13, these numbers are an attribute; our operator has them as its second input. */
export function attributeAsInput(opType: "ReduceSum" | "Unsqueeze", attribute: string): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [data = null], attributes }) => {
    const { [attribute]: numbers, ...rest } = attributes;
    if (numbers === undefined) return { inputs: [data], attributes: rest };
    return { inputs: [data, g.int64(numberList(attribute, numbers))], attributes: rest };
  };
  return { domain: "", opType, until: 13, read };
}
