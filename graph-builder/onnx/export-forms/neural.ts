import { at } from "../../at.ts";
import { normalAxis } from "../../operators/inference.ts";
import { attributeFirstIn, attributeOf, type ExportForm, refuse } from "./form.ts";

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

/** The layers of neural networks. */
export const neural: readonly ExportForm[] = [
  axisSaid("Softmax"),
  axisSaid("LogSoftmax"),
  { domain: "", opType: "Dropout", until: 12, write: dropout },
  attributeFirstIn(13, "QuantizeLinear", "axis"),
  attributeFirstIn(13, "DequantizeLinear", "axis"),
  attributeFirstIn(14, "BatchNormalization", "training_mode"),
];
