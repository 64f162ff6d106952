import type { OptimizerRule } from "../graph-builder/index.ts";
import type { NetworkSettings } from "./network.ts";

/**
 * The optimizers that can be written: Nesterov momentum in ordinary operators, or ONNX Runtime's stock ones.
 */
export const optimizers = ["sgd-nesterov", "sgd", "adamw"] as const;
export type OptimizerName = (typeof optimizers)[number];

/** What the training model is written in: ONNX Runtime's training operators, or ai.onnx 17 alone. */
export const targets = ["ort-training", "standard"] as const;
export type Target = (typeof targets)[number];

/** Everything that the four files follow from. */
export interface ArtifactSettings extends NetworkSettings {
  readonly target: Target;
  readonly optimizer: OptimizerName;
  /**
   * Puts the optimizer's update into the training model, which then takes `learning_rate`; there is no
   * optimizer model.
   */
  readonly fused?: boolean | undefined;
  readonly momentum: number;
  /** Of all parameters, batch normalisation's too, as the author's code. */
  readonly weightDecay: number;
  /** Of the initial weights. */
  readonly seed: number;
}

/** The update rule that settings ask for; AdamW with PyTorch's constants. */
export function optimizerRule({ optimizer, momentum, weightDecay }: ArtifactSettings): OptimizerRule {
  if (optimizer === "sgd") return { kind: "sgd" };
  if (optimizer === "sgd-nesterov") return { kind: "sgd-nesterov", momentum, weightDecay };
  return { kind: "adamw", alpha: 0.9, beta: 0.999, epsilon: 1e-8, weightDecay, correctBias: true, mode: 0 };
}
