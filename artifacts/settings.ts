import { didYouMean, UserError } from "../graph-builder/errors.ts";
import type { OptimizerRule } from "../graph-builder/index.ts";

/**
 * The optimizers that can be written: momentum and Muon in ordinary operators, or ONNX Runtime's stock ones.
 */
export const optimizers = ["sgd-nesterov", "sgd", "sgd-momentum", "adamw", "muon"] as const;
export type OptimizerName = (typeof optimizers)[number];

/** The operators of the training model: ONNX Runtime's training operators, or ai.onnx 17 alone. */
export const targets = ["ort-training", "standard"] as const;
export type Target = (typeof targets)[number];

/** The rules of the optimizers with PyTorch's constants. */
const rules: { readonly [N in OptimizerName]: OptimizerRule } = {
  sgd: { kind: "sgd" },
  "sgd-momentum": { kind: "sgd-momentum", momentum: 0.9, weightDecay: 0 },
  "sgd-nesterov": { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0 },
  adamw: {
    kind: "adamw",
    alpha: 0.9,
    beta: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correctBias: true,
    mode: 0,
  },
  muon: { kind: "muon", momentum: 0.95, weightDecay: 0.1, newtonSchulzSteps: 5, sgdRate: 1 },
};

/** The rule of a name, or the rule itself. Throws UserError for an unknown name. */
export function ruleOf(optimizer: OptimizerName | OptimizerRule): OptimizerRule {
  if (typeof optimizer !== "string") return optimizer;
  const rule = Object.hasOwn(rules, optimizer) ? rules[optimizer] : undefined;
  if (rule) return rule;
  throw new UserError(
    `${optimizer} is not an optimizer: give ${optimizers.join(", ")}.${didYouMean(optimizer, optimizers)}`,
    { code: "setting-invalid", details: { setting: "optimizer", value: optimizer } },
  );
}
