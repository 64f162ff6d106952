import type { Lowering } from "../lowering.ts";

/** ONNX Runtime's CPU kernels do these faster in other forms than the portable ones; same results, ai.onnx all the same. */
export const cpu: Lowering = {};
