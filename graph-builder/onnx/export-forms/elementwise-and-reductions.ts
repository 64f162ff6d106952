import { Value } from "../../ir.ts";
import { type AttributeReduction, attributeReductions } from "../../operators/reductions.ts";
import { int64s } from "../../tensor.ts";
import { tensorType } from "../../types.ts";
import { attributeOf, type ExportForm, refuse, secondInputAsAttribute } from "./form.ts";

/** From opset 18 on, the axes are an input. */
function axesAsInput(opType: AttributeReduction): ExportForm {
  const write: ExportForm["write"] = (_, ours) => {
    if (ours.inputs[1]) return ours;
    const axes = attributeOf(ours, "axes") as readonly number[] | undefined;
    const attributes = ours.attributes.filter(([name]) => name !== "axes");
    if (!axes || axes.length === 0) return { inputs: ours.inputs, attributes };
    const constant = new Value(tensorType("int64", [axes.length]), { constant: int64s(axes) });
    return { inputs: [...ours.inputs, constant], attributes };
  };
  return { domain: "", opType, since: 18, write };
}

/**
 * Before opset 13, the axes are an attribute, and no axes mean all: a sum over none, which
 * `noop_with_empty_axes` says later, is an Identity.
 */
const sum: ExportForm["write"] = (node, ours, opset) => {
  const attributes = ours.attributes.filter(([name]) => name !== "noop_with_empty_axes");
  const [data = null, axes] = ours.inputs;
  const isEmpty = !axes || axes.constant?.numbers().length === 0;
  if (!isEmpty) return secondInputAsAttribute(node, { inputs: ours.inputs, attributes }, "axes", opset);
  return attributeOf(ours, "noop_with_empty_axes") === 1
    ? { opType: "Identity", inputs: [data], attributes: [] }
    : { inputs: [data], attributes };
};

/** Before opset 12, both inputs have the same type, a floating one. */
const power: ExportForm["write"] = (node, ours, opset) => {
  const [base, exponent] = [node.input(0).elemType, node.input(1).elemType];
  if (base === exponent && ["float", "double", "float16"].includes(base)) return ours;
  return refuse(node, opset, `a power of ${base} and ${exponent} exists since opset 12`);
};

/** Operators that work element by element, and reductions. */
export const elementwiseAndReductions: readonly ExportForm[] = [
  ...attributeReductions.map(axesAsInput),
  { domain: "", opType: "ReduceSum", until: 13, write: sum },
  { domain: "", opType: "Pow", until: 12, write: power },
];
