import { didYouMean, UserError } from "../graph-builder/errors.ts";
import type { OptimizerRule } from "../graph-builder/index.ts";
import { shown } from "../graph-builder/visible.ts";

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

/** A rule without the constants that are PyTorch's. */
export type GivenRule = {
  [K in OptimizerRule["kind"]]: { readonly kind: K } & Partial<
    Omit<Extract<OptimizerRule, { readonly kind: K }>, "kind">
  >;
}[OptimizerRule["kind"]];

/** What a rule may have beside the constants that PyTorch gives it. */
const others = ["weightDecay", "maxNorm", "clipValue", "groups"];

function expectRule(optimizer: OptimizerName | GivenRule): GivenRule {
  if (typeof optimizer === "string") return { kind: optimizer };
  const given: unknown = optimizer;
  if (typeof given === "object" && given !== null && "kind" in given) return optimizer;
  throw new UserError(
    `optimizer must be a name or an object such as { kind: "adamw" }, not ${shown(given)}.`,
    { code: "setting-invalid", details: { setting: "optimizer" } },
  );
}

/**
 * The rule of a name, or a rule with the constants that it lacks. Throws UserError for an unknown name, and
 * for a constant that the rule does not have.
 */
export function ruleOf(optimizer: OptimizerName | GivenRule): OptimizerRule {
  const { kind, ...given } = expectRule(optimizer);
  const rule = Object.hasOwn(rules, kind) ? rules[kind] : undefined;
  if (!rule) {
    throw new UserError(
      `${kind} is not an optimizer: give ${optimizers.join(", ")}.${didYouMean(String(kind), optimizers)}`,
      { code: "setting-invalid", details: { setting: "optimizer", value: kind } },
    );
  }
  const known = [...new Set([...Object.keys(rule), ...others, ...(kind === "muon" ? ["sgdDecay"] : [])])];
  const constants = Object.entries(given).filter(([, value]) => value !== undefined);
  const unknown = constants.map(([name]) => name).find((name) => !known.includes(name));
  if (unknown === undefined) return { ...rule, ...Object.fromEntries(constants) };
  const own = known.filter((name) => name !== "kind");
  throw new UserError(
    `${kind} has no setting ${unknown}.${didYouMean(unknown, own) || ` It has ${own.join(", ")}.`}`,
    { code: "setting-invalid", details: { setting: "optimizer", value: unknown } },
  );
}
