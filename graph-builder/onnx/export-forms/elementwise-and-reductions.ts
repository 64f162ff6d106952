import { Value } from "../../ir.ts";
import { type AttributeReduction, attributeReductions } from "../../operators/reductions.ts";
import { int64s } from "../../tensor.ts";
import { tensorType } from "../../types.ts";
import { attributeOf, type ExportForm, inputAsAttribute } from "./form.ts";

/** From opset 18 on, the axes are an input. */
function axesAsInput(opType: AttributeReduction): ExportForm {
  const write: ExportForm["write"] = (_, ours) => {
    const axes = attributeOf(ours, "axes") as readonly number[] | undefined;
    const attributes = ours.attributes.filter(([name]) => name !== "axes");
    if (!axes || axes.length === 0) return { inputs: ours.inputs, attributes };
    const constant = new Value(tensorType("int64", [axes.length]), { constant: int64s(axes) });
    return { inputs: [...ours.inputs, constant], attributes };
  };
  return { domain: "", opType, since: 18, write };
}

/** Operators that work element by element, and reductions. */
export const elementwiseAndReductions: readonly ExportForm[] = [
  ...attributeReductions.map(axesAsInput),
  inputAsAttribute("ReduceSum", "axes"),
];
