import { at } from "../at.ts";
import type { Binding, BoundGraph } from "../bindings.ts";
import { type Builder, createBuilder } from "../builder.ts";
import { Graph, isOp, type Value } from "../ir.ts";
import { freeName, nameOf } from "../names.ts";
import { appendControls } from "./controls.ts";
import {
  type AdamWSettings,
  adamW,
  type SgdNesterovSettings,
  sgd,
  sgdNesterov,
  type Update,
  type Updated,
} from "./rules.ts";

/** An update rule and its settings. */
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

/**
 * The names of a parameter's moments: `<parameter>.momentum` for one, `<parameter>.momentum_1` and so on for
 * more.
 */
export function momentNames(parameter: string, count: number): string[] {
  if (count === 1) return [`${parameter}.momentum`];
  return Array.from({ length: count }, (_, i) => `${parameter}.momentum_${i + 1}`);
}

/** Appends one parameter's update by a rule. */
export function applyRule(g: Builder, rule: OptimizerRule, update: Update): Updated {
  if (rule.kind === "sgd") return sgd(g, update);
  return rule.kind === "adamw" ? adamW(g, update, rule) : sgdNesterov(g, update, rule);
}

/** A parameter of an optimizer step. */
export interface OptimizedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Returns an optimizer step in ai.onnx operators, with one update per parameter `<p>`, and its bindings.
 * Inputs: `learning_rate` float [1], `step` int64 [1] for AdamW, and `<p>`, `<p>_grad` and the moments of
 * each parameter. Outputs: `<p>_next` and `<moment>_next`. With `maxNorm`, gradients whose norm over all
 * parameters is larger are scaled to that norm, and the outputs `<p>_grad_next` return them. Where a
 * parameter has one of these names, the name gets a number appended.
 */
export function optimizerGraph(
  parameters: readonly OptimizedTensor[],
  rule: OptimizerRule,
  maxNorm?: number,
): BoundGraph {
  const g = createBuilder(new Graph("optimizer"));
  return {
    graph: g.graph,
    bindings: g.during("update", () => appendOptimizer(g, parameters, rule, maxNorm)),
  };
}

function appendOptimizer(
  g: Builder,
  parameters: readonly OptimizedTensor[],
  rule: OptimizerRule,
  maxNorm: number | undefined,
): Binding[] {
  const taken = new Set(parameters.map(({ name }) => name));
  const { controls, bindings } = appendControls(g, rule, taken);
  const raw = parameters.map(({ name, shape }) => g.input(freeName(`${name}_grad`, taken), "float", shape));
  const gradients = maxNorm === undefined ? raw : clipped(g, raw, maxNorm);
  const output = (value: Value, input: Value): string => {
    const name = freeName(`${input.name}_next`, taken);
    g.output(value, name);
    return name;
  };
  for (const [i, { name, shape }] of parameters.entries()) {
    const weight = g.input(name, "float", shape);
    const [rawGradient, gradient] = [at(raw, i), at(gradients, i)];
    const moments = momentNames(name, momentCounts[rule.kind]).map((moment) =>
      g.input(freeName(moment, taken), "float", shape),
    );
    const update = { weight, gradient, moments, ...controls };
    const next = g.scope(name.replaceAll(".", "/"), () => applyRule(g, rule, update));
    bindings.push({ role: "parameter", input: name, output: output(next.weight, weight) });
    bindings.push({
      role: "gradient",
      parameter: name,
      input: nameOf(rawGradient),
      ...(maxNorm === undefined ? {} : { output: output(gradient, rawGradient) }),
    });
    for (const [index, moment] of moments.entries()) {
      const value = at(next.moments, index);
      const input = nameOf(moment);
      bindings.push({ role: "moment", parameter: name, index, input, output: output(value, moment) });
    }
  }
  return bindings;
}

/**
 * Scales gradients by min(1, maxNorm / (norm + 1e-6)), with the L2 norm over all gradients together (ONNX
 * Runtime's clip_grad_norm.cc).
 */
function clipped(g: Builder, gradients: readonly Value[], maxNorm: number): Value[] {
  const squares = gradients.map((gradient) => g.ReduceSum(g.Mul(gradient, gradient), null, { keepdims: 0 }));
  const norm = g.Sqrt(g.Sum(...squares));
  const scale = g.Min(g.float(1), g.Div(g.float(maxNorm), g.Add(norm, g.float(1e-6))));
  return gradients.map((gradient) => g.Mul(gradient, scale));
}

/** The rule of ONNX Runtime's stock optimizer model, which updates all parameters as one sequence. */
export interface StockOptimizer {
  readonly rule: OptimizerRule;
  /** The largest norm of the gradients, where the model clips them before the step. */
  readonly maxNorm?: number;
}

/** Returns the rule of a stock optimizer model; undefined where the graph has no optimizer node. */
export function stockOptimizer(graph: Graph): StockOptimizer | undefined {
  const rule = stockRule(graph);
  const clip = graph.nodes.find((node) => isOp(node, "InplaceClipGradNorm"));
  if (!rule || !clip) return rule && { rule };
  return { rule, maxNorm: clip.attributes.max_norm };
}

function stockRule(graph: Graph): OptimizerRule | undefined {
  for (const node of graph.nodes) {
    if (node.opType === "SGDOptimizerV2") return { kind: "sgd" };
    if (!isOp(node, "AdamWOptimizer")) continue;
    const { alpha, beta, epsilon, weight_decay, correct_bias, adam_mode } = node.attributes;
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

/**
 * Returns ONNX Runtime's stock optimizer model (orttraining optim.py). Its inputs are sequences of all
 * parameters, gradients and moments, which its node updates in place.
 */
export function stockOptimizerGraph(rule: Exclude<OptimizerRule, { kind: "sgd-nesterov" }>): Graph {
  const g = createBuilder(new Graph("optimizer"));
  g.during("update", () => appendStock(g, rule));
  return g.graph;
}

function appendStock(g: Builder, rule: Exclude<OptimizerRule, { kind: "sgd-nesterov" }>): void {
  const learningRate = g.input("learning_rate", "float", [1]);
  const step = g.input("step", "int64", [1]);
  const sequence = (name: string) => g.inputOf(name, { kind: "sequence", elemType: "float" });
  const [params, gradients, first] = [
    sequence("params"),
    sequence("gradients"),
    sequence("first_order_moments"),
  ];
  if (rule.kind === "sgd") {
    // ONNX Runtime 1.19.2 infers a scalar for this output, but the kernel returns [1]; Reshape makes both
    // agree
    const [completed] = g.SGDOptimizerV2(learningRate, params, gradients);
    g.output(g.Reshape(completed, g.int64([1])), "update_completed");
    return;
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
}
