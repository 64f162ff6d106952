import { type Builder, createBuilder } from "../builder.ts";
import { nextName } from "../in-place.ts";
import { Graph, type Node } from "../ir.ts";
import {
  type AdamWSettings,
  adamW,
  type SgdNesterovSettings,
  sgd,
  sgdNesterov,
  type Update,
  type Updated,
} from "../optimizers.ts";

/** An update rule with its numbers. */
export type OptimizerRule =
  | { readonly kind: "sgd" }
  | ({ readonly kind: "sgd-nesterov" } & SgdNesterovSettings)
  | ({ readonly kind: "adamw" } & AdamWSettings);

/** How many moments a rule keeps for each parameter. */
export const momentCounts: { readonly [K in OptimizerRule["kind"]]: number } = {
  sgd: 0,
  "sgd-nesterov": 1,
  adamw: 2,
};

/** The names of a parameter's moments: `<parameter>.momentum`, or `.momentum_1` and `.momentum_2` where there are two. */
export function momentNames(parameter: string, count: number): string[] {
  if (count === 1) return [`${parameter}.momentum`];
  return Array.from({ length: count }, (_, i) => `${parameter}.momentum_${i + 1}`);
}

/** One parameter's update by a rule. */
export function applyRule(g: Builder, rule: OptimizerRule, update: Update): Updated {
  if (rule.kind === "sgd") return sgd(g, update);
  return rule.kind === "adamw" ? adamW(g, update, rule) : sgdNesterov(g, update, rule);
}

/**
 * An optimizer step in ordinary operators, one update a parameter. Inputs: `learning_rate` float [1], `step` int64 [1] for AdamW,
 * and for each parameter `<p>`, `<p>_grad` and its moments; outputs `<p>_next` and the moments' `_next`.
 */
export function optimizerGraph(
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  rule: OptimizerRule,
): Graph {
  const g = createBuilder(new Graph("optimizer"));
  const learningRate = g.input("learning_rate", "float", [1]);
  const step = rule.kind === "adamw" ? { step: g.input("step", "int64", [1]) } : {};
  for (const { name, shape } of parameters) {
    const weight = g.input(name, "float", shape);
    const gradient = g.input(`${name}_grad`, "float", shape);
    const names = momentNames(name, momentCounts[rule.kind]);
    const moments = names.map((moment) => g.input(moment, "float", shape));
    const update = { weight, gradient, moments, learningRate, ...step };
    const next = g.scope(name.replaceAll(".", "/"), () => applyRule(g, rule, update));
    g.output(next.weight, nextName(name));
    for (const [i, moment] of next.moments.entries()) g.output(moment, nextName(names[i] ?? ""));
  }
  return g.graph;
}

/**
 * The rule behind ONNX Runtime's stock optimizer model, which takes all parameters as one sequence;
 * undefined where the graph has no such optimizer node.
 */
export function stockOptimizerRule(graph: Graph): OptimizerRule | undefined {
  for (const node of graph.nodes) {
    if (node.opType === "SGDOptimizerV2") return { kind: "sgd" };
    if (node.opType !== "AdamWOptimizer") continue;
    const { alpha, beta, epsilon, weight_decay, correct_bias, adam_mode } = (node as Node<"AdamWOptimizer">)
      .attributes;
    return {
      kind: "adamw",
      alpha,
      beta,
      epsilon,
      weightDecay: weight_decay,
      correctBias: correct_bias === 1,
      mode: adam_mode === 0 ? 0 : 1,
    };
  }
  return undefined;
}

/** ONNX Runtime's stock optimizer model (orttraining optim.py): sequences of all parameters, gradients and moments, updated in place. */
export function stockOptimizerGraph(rule: Exclude<OptimizerRule, { kind: "sgd-nesterov" }>): Graph {
  const g = createBuilder(new Graph("optimizer"));
  const learningRate = g.input("learning_rate", "float", [1]);
  const step = g.input("step", "int64", [1]);
  const sequence = (name: string) => g.inputOf(name, { kind: "sequence", elemType: "float" });
  const [params, gradients, first] = [
    sequence("params"),
    sequence("gradients"),
    sequence("first_order_moments"),
  ];
  if (rule.kind === "sgd") {
    g.output(g.SGDOptimizerV2(learningRate, params, gradients)[0], "update_completed");
    return g.graph;
  }
  const second = sequence("second_order_moments");
  const [updated] = g.AdamWOptimizer(learningRate, step, params, gradients, first, second, {
    alpha: rule.alpha,
    beta: rule.beta,
    epsilon: rule.epsilon,
    weight_decay: rule.weightDecay,
    correct_bias: rule.correctBias ? 1 : 0,
    adam_mode: rule.mode,
  });
  g.output(updated, "updated_flag");
  return g.graph;
}
