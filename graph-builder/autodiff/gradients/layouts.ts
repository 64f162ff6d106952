import type { cuda } from "../../operators/cuda.ts";
import type { nchwc } from "../../operators/nchwc.ts";
import type { Gradients } from "./rule.ts";

const fromLowering = { none: "only lowerings emit it" } as const;

/** The gradients of operators in the layouts that lowerings use. */
export const layouts: Gradients<typeof nchwc & typeof cuda> = {
  ReorderInput: fromLowering,
  ReorderOutput: fromLowering,
  NchwcConv: fromLowering,
  NhwcConv: fromLowering,
  NhwcConvTranspose: fromLowering,
  BiasDropout: fromLowering,
};
