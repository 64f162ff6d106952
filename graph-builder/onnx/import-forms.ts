import type { Builder } from "../builder.ts";
import { averagePoolGradient } from "../composites.ts";
import type { Value } from "../ir.ts";
import { isOpType, operatorOf } from "../operators/index.ts";
import { constantNumbers, normalAxis, refuse, staticDim } from "../operators/inference.ts";
import { averagePoolAttributes } from "../operators/neural.ts";
import { completeAttributes, ShapeError } from "../operators/schema.ts";
import { floats, Tensor } from "../tensor.ts";
import type { ValueType } from "../types.ts";
import { type FormRange, formTable } from "./forms.ts";

/** A node as a file has it. */
export interface ForeignNode extends NodeForm {
  /** The domain, empty for ai.onnx. */
  readonly domain: string;
  readonly opType: string;
  /** What the node is called in errors and in the graph. */
  readonly name: string;
  /** The version of its domain that the file imports. */
  readonly opset: number;
  /** The types that the file declares for the outputs, as many as the node has. */
  readonly declared: readonly (ValueType | undefined)[];
}

/** What a node of our operator is made of. */
interface NodeForm {
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * How a node is read whose form in the file is not the one of our operator: in that operator's form, or as the values that other
 * operators make of it. Both throw ShapeError, without the node's name, where they cannot.
 */
interface ImportForm extends FormRange {
  readonly read: (g: Builder, node: ForeignNode) => NodeForm | readonly Value[];
}

/**
 * Appends what a node of a file stands for and returns its outputs. Throws Error with the node's name where its operator is not
 * supported, has an attribute that is not known, or does not fit its inputs.
 */
export function importNode(g: Builder, node: ForeignNode): readonly Value[] {
  const form = formOf(node.domain, node.opType, node.opset);
  const read = form ? g.within(node.name, () => readForm(g, node, form)) : node;
  return isForm(read) ? ownNode(g, node, read) : read;
}

function readForm(g: Builder, node: ForeignNode, form: ImportForm): NodeForm | readonly Value[] {
  try {
    return form.read(g, node);
  } catch (error) {
    if (!(error instanceof ShapeError) || error.path !== undefined) throw error;
    throw new ShapeError(`${node.opType} at ${node.name}: ${error.message}`, node.name);
  }
}

function isForm(read: NodeForm | readonly Value[]): read is NodeForm {
  return "attributes" in read;
}

/** A node of an operator that is ours too. */
function ownNode(
  g: Builder,
  { domain, opType, name }: ForeignNode,
  { inputs, attributes }: NodeForm,
): readonly Value[] {
  if (!isOpType(opType) || operatorOf(opType).domain !== domain) {
    throw new Error(`operator ${domain ? `${domain}.` : ""}${opType} at ${name} is not supported`);
  }
  const specs = operatorOf(opType).attributes;
  const stranger = Object.keys(attributes).find((attribute) => !Object.hasOwn(specs, attribute));
  if (stranger) throw new Error(`${opType} at ${name} has an unknown attribute ${stranger}`);
  return g.node(opType, inputs, attributes as never, name).outputs;
}

/** A reduction whose axes are an input; ours has them as an attribute. `unreduced` is what it makes of every element alone. */
function axesAsInput(
  opType: "ReduceMean" | "ReduceL2" | "ReduceLogSumExp",
  unreduced: (g: Builder, data: Value) => Value,
): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [data, axes], attributes }) => {
    const { noop_with_empty_axes, ...rest } = attributes;
    if (!data) return refuse("input data is missing");
    const known = axes ? constantNumbers(axes, "axes") : [];
    if (known.length > 0) return { inputs: [data], attributes: { ...rest, axes: known } };
    return noop_with_empty_axes ? [unreduced(g, data)] : { inputs: [data], attributes: rest };
  };
  return { domain: "", opType, since: 18, read };
}

/** Numbers that are an attribute before opset 13, and an input of ours: the second. */
function attributeAsInput(opType: "ReduceSum" | "Unsqueeze" | "Squeeze", attribute: string): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [data = null], attributes }) => {
    const { [attribute]: numbers, ...rest } = attributes;
    if (numbers !== undefined) return { inputs: [data, g.int64(numbers as number[])], attributes: rest };
    return { inputs: opType === "Squeeze" ? [data, emptyAxes(g, data)] : [data], attributes: rest };
  };
  return { domain: "", opType, until: 13, read };
}

/** The axes of a Squeeze without axes: those whose dimension is 1. */
function emptyAxes(g: Builder, data: Value | null): Value {
  const shape = data?.shape ?? [];
  if (shape.some((dim) => typeof dim !== "number")) {
    refuse(`axes must be given, because a dimension of [${shape.join(", ")}] may be 1`);
  }
  return g.int64(shape.flatMap((dim, axis) => (dim === 1 ? [axis] : [])));
}

/** The softmax family meant the same over the last axis alone before opset 13, where its axis was 1 unless said. */
function overLastAxis(opType: "Softmax" | "LogSoftmax"): ImportForm {
  const read: ImportForm["read"] = (_, { inputs, attributes }) => {
    const { axis = 1 } = attributes;
    const rank = inputs[0]?.shape.length ?? 0;
    if (axis === -1 || axis === rank - 1) return { inputs, attributes };
    return refuse("before opset 13 only a softmax over the last axis is read");
  };
  return { domain: "", opType, until: 13, read };
}

/** The sizes of the parts of a Split without sizes: equal, the last one smaller where they do not divide. */
function equalParts(data: Value, axis: number, count: number): number[] {
  const whole = staticDim(data.shape, normalAxis(axis, data.shape.length));
  const size = Math.ceil(whole / count);
  return [...Array(count - 1).fill(size), whole - size * (count - 1)];
}

const split: ImportForm["read"] = (g, { inputs: [data, sizes], attributes, declared }) => {
  const { split: listed, num_outputs: _, ...rest } = attributes;
  if (!data) return refuse("input data is missing");
  const axis = Number(attributes["axis"] ?? 0);
  const parts = () => g.int64((listed as number[]) ?? equalParts(data, axis, declared.length));
  return { inputs: [data, sizes ?? parts()], attributes: rest };
};

/** From opset 18 on a Pad may name the axes that its pads are for; ours pads all axes. */
const pad: ImportForm["read"] = (g, { inputs: [data = null, pads, value = null, axes], attributes }) => {
  if (!data || !pads || !axes) return { inputs: [data, pads ?? null, value], attributes };
  const [given, along] = [constantNumbers(pads, "pads"), constantNumbers(axes, "axes")];
  const rank = data.shape.length;
  const whole: number[] = Array(2 * rank).fill(0);
  for (const [i, axis] of along.entries()) {
    const at = normalAxis(axis, rank);
    const [before = 0, after = 0] = [given[i], given[i + along.length]];
    whole[at] = before;
    whole[at + rank] = after;
  }
  return { inputs: [data, g.int64(whole), value], attributes };
};

/** Forms of files that are not ours: operators without a counterpart here, and operators that had another form in some opset. */
const importForms: readonly ImportForm[] = [
  {
    domain: "",
    opType: "Constant",
    read: (g, { attributes: { value, value_int, value_ints, value_float, value_floats } }) => {
      if (value instanceof Tensor) return [g.constant(value)];
      const [whole, real] = [value_int ?? value_ints, value_float ?? value_floats];
      if (whole !== undefined) return [g.int64(whole as number | number[])];
      if (real !== undefined) return [g.float(real as number | number[])];
      return refuse("its value is no tensor of numbers");
    },
  },
  {
    domain: "",
    opType: "ConstantOfShape",
    read: (_, { inputs, attributes }) => ({ inputs, attributes: { value: floats([0]), ...attributes } }),
  },
  {
    // only the file knows the size of what was pooled
    domain: "",
    opType: "AveragePoolGrad",
    read: (g, { inputs: [dY], attributes, declared: [dX] }) => {
      if (!dY || dX?.kind !== "tensor") return refuse("the file must declare the shape of its output");
      return [averagePoolGradient(g, dY, dX.shape, completeAttributes(averagePoolAttributes, attributes))];
    },
  },
  {
    // a trained one named its further outputs before opset 14, which ours does by training_mode
    domain: "",
    opType: "BatchNormalization",
    until: 14,
    read: (_, { inputs, attributes, declared }) =>
      declared.length > 1 ? refuse("its training mode is read from opset 14 on") : { inputs, attributes },
  },
  {
    domain: "",
    opType: "Dropout",
    until: 12,
    read: (g, { inputs: [data = null], attributes: { ratio = 0.5, ...rest } }) => ({
      inputs: [data, g.float(Number(ratio))],
      attributes: rest,
    }),
  },
  attributeAsInput("ReduceSum", "axes"),
  attributeAsInput("Unsqueeze", "axes"),
  attributeAsInput("Squeeze", "axes"),
  {
    domain: "",
    opType: "Squeeze",
    since: 13,
    read: (g, { inputs: [data = null, axes], attributes }) => ({
      inputs: [data, axes ?? emptyAxes(g, data)],
      attributes,
    }),
  },
  axesAsInput("ReduceMean", (g, data) => g.Identity(data)),
  axesAsInput("ReduceL2", (g, data) => g.Abs(data)),
  axesAsInput("ReduceLogSumExp", (g, data) => g.Identity(data)),
  overLastAxis("Softmax"),
  overLastAxis("LogSoftmax"),
  { domain: "", opType: "Split", read: split },
  { domain: "", opType: "Pad", since: 18, read: pad },
];

const formOf = formTable(importForms);
