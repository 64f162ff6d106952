import { Value } from "../../ir.ts";
import { floats } from "../../tensor.ts";
import { tensorType } from "../../types.ts";
import type { ExportForm } from "./form.ts";

/** Before opset 13, the inputs `roi` and `scales` must be there: an empty tensor says nothing. */
const resize: ExportForm["write"] = (_, { inputs: [X = null, roi, scales, sizes], attributes }) => {
  const empty = new Value(tensorType("float", [0]), { constant: floats([]) });
  return { inputs: [X, roi ?? empty, scales ?? empty, ...(sizes ? [sizes] : [])], attributes };
};

/** Operators that read pictures between their pixels. */
export const sampling: readonly ExportForm[] = [{ domain: "", opType: "Resize", until: 13, write: resize }];
