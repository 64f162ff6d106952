import { attributeFirstIn, type ExportForm, inputAsAttribute } from "./form.ts";

/** Operators that move elements. */
export const tensors: readonly ExportForm[] = [
  inputAsAttribute("Squeeze", "axes"),
  inputAsAttribute("Unsqueeze", "axes"),
  inputAsAttribute("Split", "split"),
  attributeFirstIn(14, "Reshape", "allowzero"),
  attributeFirstIn(15, "Shape", "start", "end"),
];
