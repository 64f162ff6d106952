import type { Value } from "../../ir.ts";
import { constantNumbers, knownNumbers, refuse, unsupported } from "../../operators/inference.ts";
import type { ImportForm, NodeForm } from "./form.ts";

/** An input that says nothing is an empty tensor before opset 13, and tf2onnx writes it so later too. */
function unlessEmpty(value: Value | null | undefined): Value | null {
  return value && value.shape[0] !== 0 ? value : null;
}

const resize: ImportForm["read"] = (_, { inputs: [X = null, roi, scales, sizes], attributes }) => ({
  inputs: [X, unlessEmpty(roi), unlessEmpty(scales), unlessEmpty(sizes)],
  attributes,
});

/** The scales of Upsample that only a run tells are not below 1, as ONNX demands. */
const upsample: ImportForm["read"] = (g, node) => {
  const [X = null, scales] = node.inputs;
  if (!scales || knownNumbers(scales)) return resizeBefore11(g, node);
  const { mode = "nearest" } = node.attributes;
  const form = { mode, coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
  return g.nodeFrom("Resize", [X, null, scales], form, node.name).outputs;
};

/**
 * Upsample, and Resize before opset 11, divide a place by the scale. The nearest element is the one before
 * it, and the one behind it where the picture becomes smaller, as in ONNX Runtime.
 */
const resizeBefore11: ImportForm["read"] = (g, { inputs: [X = null, scales = null], attributes, name }) => {
  const numbers = scales ? constantNumbers(scales, "scales") : refuse("input scales is missing");
  const isSmaller = numbers.some((scale) => scale < 1);
  const { mode = "nearest" } = attributes;
  if (mode === "nearest" && isSmaller && numbers.some((scale) => scale > 1)) {
    return unsupported("before opset 11 scales above and below 1 at once are not supported");
  }
  const form = {
    mode,
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: isSmaller ? "ceil" : "floor",
  };
  return g.nodeFrom("Resize", [X, null, scales], form, name).outputs;
};

/** Before opset 20, the modes of GridSample are called bilinear and bicubic. */
function gridSampleBefore20({ inputs, attributes }: NodeForm): NodeForm {
  const { mode = "bilinear", ...rest } = attributes;
  return { inputs, attributes: { ...rest, mode: String(mode).replace(/^bi/, "") } };
}

/** Before opset 16, the places of RoiAlign are not moved by half a pixel. */
const roiAlignBefore16: ImportForm["read"] = (_, { inputs, attributes }) => ({
  inputs,
  attributes: { ...attributes, coordinate_transformation_mode: "output_half_pixel" },
});

/** Operators that read pictures between their pixels. */
export const sampling: readonly ImportForm[] = [
  { domain: "", opType: "Upsample", read: upsample },
  { domain: "", opType: "Resize", until: 11, read: resizeBefore11 },
  { domain: "", opType: "Resize", since: 11, read: resize },
  { domain: "", opType: "GridSample", until: 20, read: (_, node) => gridSampleBefore20(node) },
  {
    domain: "com.microsoft",
    opType: "GridSample",
    read: (g, node) => g.nodeFrom("GridSample", node.inputs, gridSampleBefore20(node).attributes).outputs,
  },
  { domain: "", opType: "RoiAlign", until: 16, read: roiAlignBefore16 },
];
