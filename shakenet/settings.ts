import type { OptimizerRule } from "../graph-builder/index.ts";
import type { NetworkSettings } from "./network.ts";

/**
 * The optimizers that can be written: Nesterov momentum in ordinary operators, or ONNX Runtime's stock ones.
 */
export const optimizers = ["sgd-nesterov", "sgd", "adamw"] as const;
export type OptimizerName = (typeof optimizers)[number];

/** The operators of the training model: ONNX Runtime's training operators, or ai.onnx 17 alone. */
export const targets = ["ort-training", "standard"] as const;
export type Target = (typeof targets)[number];

/** The settings that determine the four files. */
export interface ArtifactSettings extends NetworkSettings {
  readonly target: Target;
  readonly optimizer: OptimizerName;
  /**
   * Puts the optimizer's update into the training model, which then takes `learning_rate`; there is no
   * optimizer model.
   */
  readonly fused?: boolean | undefined;
  readonly momentum: number;
  /** The weight decay of all parameters, including batch normalisation's, as in the author's code. */
  readonly weightDecay: number;
  /** The seed of the initial weights. */
  readonly seed: number;
}

/** The update rule that settings ask for; AdamW with PyTorch's constants. */
export function optimizerRule({ optimizer, momentum, weightDecay }: ArtifactSettings): OptimizerRule {
  if (optimizer === "sgd") return { kind: "sgd" };
  if (optimizer === "sgd-nesterov") return { kind: "sgd-nesterov", momentum, weightDecay };
  return { kind: "adamw", alpha: 0.9, beta: 0.999, epsilon: 1e-8, weightDecay, correctBias: true, mode: 0 };
}
