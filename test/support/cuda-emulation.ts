import type { Lowering } from "../../graph-builder/index.ts";

const FIRST = [0, 3, 1, 2];
const LAST = [0, 2, 3, 1];

/**
 * The operators that only ONNX Runtime's CUDA provider has, in operators that the CPU has too, to check their
 * numbers there.
 */
export const cudaOnCpu: Lowering = {
  NhwcConv: (g, { I, optional, attributes }) => [
    g.Transpose(g.Conv(g.Transpose(I(0), { perm: FIRST }), I(1), optional(2), attributes), { perm: LAST }),
  ],
  NhwcConvTranspose: (g, { I, optional, attributes }) => [
    g.Transpose(g.ConvTranspose(g.Transpose(I(0), { perm: FIRST }), I(1), optional(2), attributes), {
      perm: LAST,
    }),
  ],
  BiasDropout: (g, { I, optional }) => {
    const residual = optional(2);
    const sum = g.Add(I(0), I(1));
    return [residual ? g.Add(sum, residual) : sum, null];
  },
};
