import { at } from "../at.ts";
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

/** A node in the form that a file has it in, at the file's opset. */
export interface ForeignNode extends NodeForm {
  /** The domain, empty for ai.onnx. */
  readonly domain: string;
  readonly opType: string;
  /** The node's name in errors and in the graph. */
  readonly name: string;
  /** The version of its domain that the file imports. */
  readonly opset: number;
  /** The types that the file declares for the outputs, one per output. */
  readonly declared: readonly (ValueType | undefined)[];
}

/** The inputs and attributes of a node. */
interface NodeForm {
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * Reads a node whose form in the file differs from that of our operator. `read` returns the node in our
 * operator's form, or the outputs of other operators that compute the same. It throws ShapeError, without the
 * node's name, where it can do neither.
 */
interface ImportForm extends FormRange {
  readonly read: (g: Builder, node: ForeignNode) => NodeForm | readonly Value[];
}

/**
 * Appends a node of a file to the graph and returns its outputs. Throws Error with the node's name where its
 * operator is not supported, an attribute is unknown, or the inputs do not fit the operator.
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

/** Appends a node in the form of one of our operators. */
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
  return g.nodeFrom(opType, inputs, attributes, name).outputs;
}

/**
 * From opset 18 on, the axes of a reduction are an input; ours are an attribute. `unreduced` is the result
 * with `noop_with_empty_axes`: the reduction of every element alone.
 */
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

/** Before opset 13, these numbers are an attribute; our operator has them as its second input. */
function attributeAsInput(opType: "ReduceSum" | "Unsqueeze" | "Squeeze", attribute: string): ImportForm {
  const read: ImportForm["read"] = (g, { inputs: [data = null], attributes }) => {
    const { [attribute]: numbers, ...rest } = attributes;
    if (numbers !== undefined) {
      return { inputs: [data, g.int64(numberList(attribute, numbers))], attributes: rest };
    }
    return { inputs: opType === "Squeeze" ? [data, emptyAxes(g, data)] : [data], attributes: rest };
  };
  return { domain: "", opType, until: 13, read };
}

/** Refuses an attribute that is not a list of numbers. */
function numberList(name: string, value: unknown): number[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === "number")) return value;
  return refuse(`attribute ${name} must be a list of numbers`);
}

/** The axes of a Squeeze without axes: those whose dimension is 1. */
function emptyAxes(g: Builder, data: Value | null): Value {
  if (!data) return refuse("input data is missing");
  const { shape } = data;
  if (shape.some((dim) => typeof dim !== "number")) {
    refuse(`axes must be given, because a dimension of [${shape.join(", ")}] may be 1`);
  }
  return g.int64(shape.flatMap((dim, axis) => (dim === 1 ? [axis] : [])));
}

/**
 * Before opset 13, Softmax and LogSoftmax normalised over all axes from `axis` on, with 1 as the default;
 * only for the last axis is this the same as today.
 */
function overLastAxis(opType: "Softmax" | "LogSoftmax"): ImportForm {
  const read: ImportForm["read"] = (_, { inputs, attributes }) => {
    const { axis = 1 } = attributes;
    if (axis === -1 || (inputs[0] && axis === inputs[0].shape.length - 1)) return { inputs, attributes };
    return refuse("before opset 13 only a softmax over the last axis is supported");
  };
  return { domain: "", opType, until: 13, read };
}

/**
 * The sizes of the parts of a Split without sizes: equal sizes, and a smaller last part where they do not
 * divide.
 */
function equalParts(data: Value, axis: number, count: number): number[] {
  const whole = staticDim(data.shape, normalAxis(axis, data.shape.length));
  const size = Math.ceil(whole / count);
  return [...Array(count - 1).fill(size), whole - size * (count - 1)];
}

const split: ImportForm["read"] = (g, { inputs: [data, sizes], attributes, declared }) => {
  const { split: listed, num_outputs: _, ...rest } = attributes;
  if (!data) return refuse("input data is missing");
  const axis = Number(attributes["axis"] ?? 0);
  const parts = () =>
    g.int64(listed === undefined ? equalParts(data, axis, declared.length) : numberList("split", listed));
  return { inputs: [data, sizes ?? parts()], attributes: rest };
};

/** From opset 18 on, Pad has an input with the axes to pad; ours pads all axes. */
const pad: ImportForm["read"] = (g, { inputs: [data = null, pads, value = null, axes], attributes }) => {
  if (!data || !pads || !axes) return { inputs: [data, pads ?? null, value], attributes };
  const [given, along] = [constantNumbers(pads, "pads"), constantNumbers(axes, "axes")];
  const rank = data.shape.length;
  const whole: number[] = Array(2 * rank).fill(0);
  for (const [i, axis] of along.entries()) {
    const place = normalAxis(axis, rank);
    whole[place] = at(given, i);
    whole[place + rank] = at(given, i + along.length);
  }
  return { inputs: [data, g.int64(whole), value], attributes };
};

/** The operators without a counterpart among ours, and those whose form differs from ours in some opset. */
const importForms: readonly ImportForm[] = [
  {
    domain: "",
    opType: "Constant",
    read: (g, { attributes: { value, value_int, value_ints, value_float, value_floats } }) => {
      if (value instanceof Tensor) return [g.constant(value)];
      if (typeof value_int === "number") return [g.int64(value_int)];
      if (typeof value_float === "number") return [g.float(value_float)];
      if (value_ints !== undefined) return [g.int64(numberList("value_ints", value_ints))];
      if (value_floats !== undefined) return [g.float(numberList("value_floats", value_floats))];
      return refuse("its value is not a tensor of numbers");
    },
  },
  {
    domain: "",
    opType: "ConstantOfShape",
    read: (_, { inputs, attributes }) => ({ inputs, attributes: { value: floats([0]), ...attributes } }),
  },
  {
    // the shape of dX follows from no input, so it comes from the file
    domain: "",
    opType: "AveragePoolGrad",
    read: (g, { inputs: [dY], attributes, declared: [dX] }) => {
      if (!dY || dX?.kind !== "tensor") return refuse("the file must declare the shape of its output");
      return [averagePoolGradient(g, dY, dX.shape, completeAttributes(averagePoolAttributes, attributes))];
    },
  },
  {
    // before opset 14, further outputs meant training mode; from opset 14 on, the attribute training_mode
    // does
    domain: "",
    opType: "BatchNormalization",
    until: 14,
    read: (_, { inputs, attributes, declared }) =>
      declared.length > 1
        ? refuse("its training mode is supported from opset 14 on")
        : { inputs, attributes },
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
