import { at } from "../../at.ts";
import { isOp, type Node } from "../../ir.ts";
import { normalAxis } from "../../operators/inference.ts";
import { spanOf, windowedDims, windowOf } from "../../operators/windows.ts";
import type { GivenAttribute } from "../../printer.ts";
import { attributeFirstIn, attributeOf, type ExportForm, refuse, type WrittenNode } from "./form.ts";

/** Before opset 13, the default of `axis` was 1, and the operator normalised over all axes from `axis` on. */
function axisSaid(opType: "Softmax" | "LogSoftmax" | "Hardmax"): ExportForm {
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

/**
 * ONNX's rule for the output of a pool with ceil_mode counts a last window that starts in the end padding,
 * until opset 22. No runtime has such a window, and ceil_mode 0 says what is meant where one would be.
 */
function poolWithoutEmptyWindow(opType: "MaxPool" | "AveragePool"): ExportForm {
  const write: ExportForm["write"] = (node, ours) => {
    if (attributeOf(ours, "ceil_mode") !== 1) return ours;
    const pads = padsWithoutCeil(node);
    const isPadded = pads?.some((pad, i) => pad !== (listOf(ours, "pads")?.[i] ?? 0));
    if (!pads || (isPadded && attributeOf(ours, "count_include_pad") === 1)) return ours;
    const others = ours.attributes.filter(([name]) => name !== "ceil_mode" && name !== "pads");
    const padding: GivenAttribute[] = pads.some((pad) => pad > 0) ? [["pads", "ints", pads]] : [];
    // in the order of the declaration, so that a file that is read and written stays the same
    const order = Object.keys(node.operator.attributes);
    const place = ([name]: GivenAttribute) => order.indexOf(name);
    return {
      inputs: ours.inputs,
      attributes: [...others, ...padding].sort((a, b) => place(a) - place(b)),
    };
  };
  return { domain: "", opType, until: 22, write };
}

/**
 * The pads with which a pool of ceil_mode 0 has the windows of one with ceil_mode 1; undefined where a size
 * along which it takes steps is not known, and where no window would start in the end padding.
 */
function padsWithoutCeil(node: Node): number[] | undefined {
  if (!isOp(node, "MaxPool", "AveragePool")) return undefined;
  const { attributes } = node;
  const window = windowOf(attributes.kernel_shape, attributes);
  const sizes = node.input(0).shape.slice(2);
  const rank = sizes.length;
  const isKnown = (i: number) => typeof sizes[i] === "number" || window.strides[i] === 1;
  if (!sizes.every((_, i) => isKnown(i))) return undefined;
  const counts = windowedDims(sizes, window, true);
  const axes = counts.map((count, i) => {
    const [stride, before, after] = [at(window.strides, i), at(window.pads, i), at(window.pads, i + rank)];
    if (stride === 1) return { isDropped: false, after };
    const [size, span] = [Number(at(sizes, i)), Number(spanOf(window, i))];
    const isDropped = Math.ceil((size + before + after - span) / stride) === Number(count);
    const reach = (Number(count) - 1) * stride + span - size - before;
    return { isDropped, after: Math.max(after, reach) };
  });
  if (!axes.some(({ isDropped }) => isDropped)) return undefined;
  return [...window.pads.slice(0, rank), ...axes.map(({ after }) => after)];
}

function listOf(written: WrittenNode, name: string): readonly number[] | undefined {
  const value = attributeOf(written, name);
  return Array.isArray(value) ? value : undefined;
}

/** ONNX Runtime's layer normalisation without a mean is ONNX's RMSNormalization, from opset 23 on. */
const rmsNormalization: ExportForm["write"] = (_, ours) => ({ ...ours, opType: "RMSNormalization" });

/** The layers of neural networks. */
export const neural: readonly ExportForm[] = [
  axisSaid("Softmax"),
  axisSaid("LogSoftmax"),
  axisSaid("Hardmax"),
  { domain: "", opType: "Dropout", until: 12, write: dropout },
  attributeFirstIn(13, "QuantizeLinear", "axis"),
  attributeFirstIn(13, "DequantizeLinear", "axis"),
  attributeFirstIn(14, "BatchNormalization", "training_mode"),
  poolWithoutEmptyWindow("MaxPool"),
  poolWithoutEmptyWindow("AveragePool"),
  { domain: "", opType: "SimplifiedLayerNormalization", since: 23, write: rmsNormalization },
];
