import { at } from "../at.ts";
import { UserError } from "../errors.ts";
import { type Node, Value } from "../ir.ts";
import { normalAxis } from "../operators/inference.ts";
import { type GivenAttribute, givenAttributes } from "../printer.ts";
import { int64s } from "../tensor.ts";
import { tensorType } from "../types.ts";
import { type FormRange, formTable } from "./forms.ts";

/** A node in the form that a file of some opset needs. */
export interface WrittenNode {
  /** The node's inputs, with new constants where the form needs them. */
  readonly inputs: readonly (Value | null)[];
  readonly attributes: readonly GivenAttribute[];
}

/** Writes an operator in a range of opsets in which its form differs from ours, which is that of opset 17. */
interface ExportForm extends FormRange {
  /** Throws UserError where those opsets cannot express the node. */
  readonly write: (node: Node, ours: WrittenNode, opset: number) => WrittenNode;
}

/**
 * Returns a node in the form that files of an opset need. Throws UserError, naming the node, where that opset
 * cannot express it.
 */
export function writtenNode(node: Node, opset: number): WrittenNode {
  const { domain } = node.operator;
  const ours = { inputs: node.inputs, attributes: givenAttributes(node) };
  return formOf(domain, node.opType, opset)?.write(node, ours, opset) ?? ours;
}

function refuse(node: Node, opset: number, what: string): never {
  throw new UserError(`${node.opType} at ${node.name} cannot be written at opset ${opset}: ${what}.`, {
    code: "model-unsupported",
    details: { node: node.name, opType: node.opType, opset },
  });
}

function attributeOf({ attributes }: WrittenNode, wanted: string): unknown {
  return attributes.find(([name]) => name === wanted)?.[2];
}

/** From opset 18 on, the axes are an input. */
function axesAsInput(opType: "ReduceMean" | "ReduceL2" | "ReduceLogSumExp"): ExportForm {
  const write: ExportForm["write"] = (_, ours) => {
    const axes = attributeOf(ours, "axes") as readonly number[] | undefined;
    const attributes = ours.attributes.filter(([name]) => name !== "axes");
    if (!axes || axes.length === 0) return { inputs: ours.inputs, attributes };
    const constant = new Value(tensorType("int64", [axes.length]), { constant: int64s(axes) });
    return { inputs: [...ours.inputs, constant], attributes };
  };
  return { domain: "", opType, since: 18, write };
}

/** Before opset 13, the second input is an attribute. */
function inputAsAttribute(opType: "ReduceSum" | "Squeeze" | "Unsqueeze" | "Split", name: string): ExportForm {
  const write: ExportForm["write"] = (node, { inputs: [data = null, input], attributes }, opset) => {
    if (!input) return { inputs: [data], attributes };
    const numbers = input.constant?.numbers();
    if (!numbers) return refuse(node, opset, `its input ${name} must be a constant before opset 13`);
    return { inputs: [data], attributes: [...attributes, [name, "ints", numbers]] };
  };
  return { domain: "", opType, until: 13, write };
}

/** Before opset 13, the default of `axis` was 1, and the operator normalised over all axes from `axis` on. */
function axisSaid(opType: "Softmax" | "LogSoftmax"): ExportForm {
  const write: ExportForm["write"] = (node, ours, opset) => {
    const rank = node.input(0).shape.length;
    const axis = normalAxis(Number(attributeOf(ours, "axis") ?? -1), rank);
    if (axis !== rank - 1) return refuse(node, opset, "before opset 13 only the last axis is supported");
    return attributeOf(ours, "axis") === undefined
      ? { inputs: ours.inputs, attributes: [...ours.attributes, ["axis", "int", axis]] }
      : ours;
  };
  return { domain: "", opType, until: 13, write };
}

/** Refuses an operator in opsets before the first that has it. */
function firstIn(since: number, opType: string): ExportForm {
  const write: ExportForm["write"] = (node, _, opset) =>
    refuse(node, opset, `the operator exists since opset ${since}`);
  return { domain: "", opType, until: since, write };
}

/** Refuses attributes in opsets before the first that has them, unless they have their default. */
function attributeFirstIn(since: number, opType: string, ...names: readonly string[]): ExportForm {
  const write: ExportForm["write"] = (node, ours, opset) => {
    const late = names.find((name) => attributeOf(ours, name) !== undefined);
    return late ? refuse(node, opset, `the attribute ${late} exists since opset ${since}`) : ours;
  };
  return { domain: "", opType, until: since, write };
}

const dropout: ExportForm["write"] = (
  node,
  { inputs: [data = null, ratio, training], attributes },
  opset,
) => {
  if (training) return refuse(node, opset, "its input training_mode exists since opset 12");
  const numbers = ratio ? ratio.constant?.numbers() : [0.5];
  if (!numbers) return refuse(node, opset, "its ratio must be a constant before opset 12");
  return {
    inputs: [data],
    attributes: [
      ...attributes.filter(([name]) => name !== "seed"),
      ["ratio", "float", Math.fround(at(numbers, 0))],
    ],
  };
};

/** The operators whose form differs from ours in some opset; import-forms.ts reads the same forms. */
const exportForms: readonly ExportForm[] = [
  axesAsInput("ReduceMean"),
  axesAsInput("ReduceL2"),
  axesAsInput("ReduceLogSumExp"),
  inputAsAttribute("ReduceSum", "axes"),
  inputAsAttribute("Squeeze", "axes"),
  inputAsAttribute("Unsqueeze", "axes"),
  inputAsAttribute("Split", "split"),
  axisSaid("Softmax"),
  axisSaid("LogSoftmax"),
  { domain: "", opType: "Dropout", until: 12, write: dropout },
  firstIn(12, "GreaterOrEqual"),
  firstIn(12, "LessOrEqual"),
  firstIn(12, "SoftmaxCrossEntropyLoss"),
  firstIn(17, "LayerNormalization"),
  attributeFirstIn(12, "ArgMax", "select_last_index"),
  attributeFirstIn(13, "QuantizeLinear", "axis"),
  attributeFirstIn(13, "DequantizeLinear", "axis"),
  attributeFirstIn(14, "BatchNormalization", "training_mode"),
  attributeFirstIn(14, "Reshape", "allowzero"),
  attributeFirstIn(15, "Shape", "start", "end"),
  attributeFirstIn(16, "ScatterElements", "reduction"),
];

const formOf = formTable(exportForms);
