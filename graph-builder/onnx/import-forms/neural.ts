import { averagePoolGradient } from "../../composites.ts";
import { refuse } from "../../operators/inference.ts";
import { averagePoolAttributes } from "../../operators/neural.ts";
import { completeAttributes } from "../../operators/schema.ts";
import type { ImportForm } from "./form.ts";

/**
 * Before opset 13, Softmax and LogSoftmax normalised over all axes from `axis` on, with 1 as the default;
 * only for the last axis is this the same as today.
 */
function overLastAxis(opType: "Softmax" | "LogSoftmax"): ImportForm {
  const read: ImportForm["read"] = (_, { inputs, attributes }) => {
    const { axis = 1 } = attributes;
    if (axis === -1 || (inputs[0] && axis === inputs[0].shape.length - 1)) return { inputs, attributes };
    return refuse("before opset 13 only a softmax over the last axis is supported");
  };
  return { domain: "", opType, until: 13, read };
}

/** The layers of neural networks. */
export const neural: readonly ImportForm[] = [
  {
    // the shape of dX follows from no input, so it comes from the file
    domain: "",
    opType: "AveragePoolGrad",
    read: (g, { inputs: [dY], attributes, declared: [dX] }) => {
      if (!dY || dX?.kind !== "tensor") return refuse("the file must declare the shape of its output");
      return [averagePoolGradient(g, dY, dX.shape, completeAttributes(averagePoolAttributes, attributes))];
    },
  },
  {
    // before opset 14, further outputs meant training mode; from opset 14 on, the attribute training_mode
    // does
    domain: "",
    opType: "BatchNormalization",
    until: 14,
    read: (_, { inputs, attributes, declared }) =>
      declared.length > 1
        ? refuse("its training mode is supported from opset 14 on")
        : { inputs, attributes },
  },
  {
    domain: "",
    opType: "Dropout",
    until: 12,
    read: (g, { inputs: [data = null], attributes: { ratio = 0.5, ...rest } }) => ({
      inputs: [data, g.float(Number(ratio))],
      attributes: rest,
    }),
  },
  overLastAxis("Softmax"),
  overLastAxis("LogSoftmax"),
];
