import type { quantization as operators } from "../../operators/quantization.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of quantisation. */
export const quantization: Gradients<typeof operators> = {
  QuantizeLinear: { none: "it rounds to whole numbers" },
  DequantizeLinear: { none: "it reads whole numbers" },
};
