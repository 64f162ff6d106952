/**
 * The types of a training step: float32; `mixed`, which is float16 forward and backward with float32 weights
 * and a loss scale that halves on overflow; or bfloat16 forward and backward with float32 weights.
 */
export const stepPrecisions = ["float32", "mixed", "bfloat16"] as const;
export type StepPrecision = (typeof stepPrecisions)[number];
