import { averagePoolGradient } from "../../autodiff/gradients/average-pool.ts";
import { refuse } from "../../operators/inference.ts";
import { averagePoolAttributes } from "../../operators/neural.ts";
import { completeAttributes } from "../../operators/schema.ts";
import type { ImportForm } from "./form.ts";

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
    domain: "",
    opType: "Dropout",
    until: 12,
    read: (g, { inputs: [data = null], attributes: { ratio = 0.5, ...rest } }) => ({
      inputs: [data, g.float(Number(ratio))],
      attributes: rest,
    }),
  },
];
