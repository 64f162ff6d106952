import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { constantNumbers, refuse } from "../../operators/inference.ts";
import { attributeAsInput, type ImportForm } from "./form.ts";

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

/** Operators that work element by element, and reductions. */
export const elementwiseAndReductions: readonly ImportForm[] = [
  attributeAsInput("ReduceSum", "axes"),
  axesAsInput("ReduceMean", (g, data) => g.Identity(data)),
  axesAsInput("ReduceL2", (g, data) => g.Abs(data)),
  axesAsInput("ReduceLogSumExp", (g, data) => g.Identity(data)),
];
