import { Value } from "../../ir.ts";
import { floats } from "../../tensor.ts";
import { tensorType } from "../../types.ts";
import { attributeOf, type ExportForm } from "./form.ts";

/** Before opset 13, the inputs `roi` and `scales` must be there: an empty tensor says nothing. */
const resize: ExportForm["write"] = (_, { inputs: [X = null, roi, scales, sizes], attributes }) => {
  const empty = new Value(tensorType("float", [0]), { constant: floats([]) });
  return { inputs: [X, roi ?? empty, scales ?? empty, ...(sizes ? [sizes] : [])], attributes };
};

/** Before opset 20, the modes of GridSample are called bilinear and bicubic. */
const gridSample: ExportForm["write"] = (_, ours) => {
  const mode = attributeOf(ours, "mode") ?? "linear";
  const others = ours.attributes.filter(([name]) => name !== "mode");
  const named = mode === "nearest" ? mode : `bi${mode}`;
  return { inputs: ours.inputs, attributes: [...others, ["mode", "string", named]] };
};

/** Before opset 16, RoiAlign knows one way to place its samples. */
const roiAlign: ExportForm["write"] = (_, { inputs, attributes }) => ({
  inputs,
  attributes: attributes.filter(([name]) => name !== "coordinate_transformation_mode"),
});

/** Operators that read pictures between their pixels. */
export const sampling: readonly ExportForm[] = [
  { domain: "", opType: "Resize", until: 13, write: resize },
  { domain: "", opType: "GridSample", until: 20, write: gridSample },
  { domain: "", opType: "RoiAlign", until: 16, write: roiAlign },
];
