import { type OptimizerName, ruleOf, type Target } from "../artifacts/settings.ts";
import type { OptimizerRule } from "../graph-builder/index.ts";
import type { NetworkSettings } from "./network.ts";

export { type OptimizerName, optimizers, type Target, targets } from "../artifacts/settings.ts";

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
  /**
   * The share of each training label that is spread evenly over all classes (Szegedy et al. 2016, arXiv
   * 1512.00567); 0 where left out.
   */
  readonly labelSmoothing?: number | undefined;
  /** The seed of the initial weights. */
  readonly seed: number;
}

/** The update rule that settings ask for; AdamW with PyTorch's constants. */
export function optimizerRule({ optimizer, momentum, weightDecay }: ArtifactSettings): OptimizerRule {
  const rule = ruleOf(optimizer);
  if (rule.kind === "sgd-nesterov") return { ...rule, momentum, weightDecay };
  return rule.kind === "adamw" ? { ...rule, weightDecay } : rule;
}
