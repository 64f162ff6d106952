import { at } from "../at.ts";
import type { Lowering } from "./lower.ts";

/**
 * The forms that ONNX Runtime's WebGPU provider has kernels for. A node without one runs on the processor,
 * and its inputs and outputs are copied from the GPU and back.
 */
export const webgpu: Lowering = {
  Sum: (g, { node, I }) => {
    const terms = node.inputs.map((_, i) => I(i));
    return [terms.slice(1).reduce((sum, term) => g.Add(sum, term), at(terms, 0))];
  },
};
