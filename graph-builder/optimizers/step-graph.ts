import { at } from "../at.ts";
import type { Binding, BoundGraph } from "../bindings.ts";
import { type Builder, createBuilder } from "../builder.ts";
import { Graph, isOp, type Value } from "../ir.ts";
import { freeName, nameOf } from "../names.ts";
import { type ClippingSettings, clipGradients, clips, expectClipping } from "./clipping.ts";
import { expectConstants } from "./constants.ts";
import { appendControls } from "./controls.ts";
import { expectGroups, type ParameterGroups, ruleOfParameter } from "./groups.ts";
import { applyRule, type Update, type Updated, type UpdateRule } from "./rules.ts";

/** An update rule, with the groups of parameters that have settings of their own, and with clipping. */
export type OptimizerRule = UpdateRule & ClippingSettings & { readonly groups?: ParameterGroups | undefined };

/** How many moments a rule keeps for each parameter. */
export const momentCounts: { readonly [K in OptimizerRule["kind"]]: number } = {
  sgd: 0,
  "sgd-momentum": 1,
  "sgd-nesterov": 1,
  adamw: 2,
  muon: 1,
};

/**
 * The names of a parameter's moments: `<parameter>.momentum` for one, `<parameter>.momentum_1` and so on for
 * more.
 */
export function momentNames(parameter: string, count: number): string[] {
  if (count === 1) return [`${parameter}.momentum`];
  return Array.from({ length: count }, (_, i) => `${parameter}.momentum_${i + 1}`);
}

/** Appends the update of a parameter, which is named as its weight, with the settings of its groups. */
export function updateParameter(g: Builder, optimizer: OptimizerRule, update: Update): Updated {
  const rank = update.weight.shape.length;
  const { rule, rateFactor } = ruleOfParameter(optimizer, nameOf(update.weight), rank);
  const learningRate =
    rateFactor === 1 ? update.learningRate : g.Mul(update.learningRate, g.float(rateFactor));
  const { weight, moments } = applyRule(g, rule, { ...update, learningRate });
  // the learning rate is [1], and so is what it is multiplied with
  const inOwnShape = (value: Value) => (rank === 0 ? g.Reshape(value, g.int64([])) : value);
  return { weight: inOwnShape(weight), moments: moments.map(inOwnShape) };
}

/**
 * Checks an optimizer of the named parameters. Throws UserError for a constant outside its range, for groups
 * that do not fit, and for a limit of the gradients that is no number above 0.
 */
export function expectOptimizer(optimizer: OptimizerRule, parameters: readonly string[]): void {
  expectConstants(optimizer);
  expectClipping(optimizer);
  expectGroups(optimizer.kind, optimizer.groups ?? {}, parameters);
}

/** A parameter of an optimizer step. */
export interface OptimizedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Returns an optimizer step in ai.onnx operators, with one update per parameter `<p>`, and its bindings.
 * Inputs: `learning_rate` float [1], `step` int64 [1] for AdamW, and `<p>`, `<p>_grad` and the moments of
 * each parameter. Outputs: `<p>_next` and `<moment>_next`, and, where the rule clips gradients,
 * `<p>_grad_next`. Where a parameter has one of these names, the name gets a number appended. Throws
 * UserError as `expectOptimizer` does.
 */
export function optimizerGraph(parameters: readonly OptimizedTensor[], rule: OptimizerRule): BoundGraph {
  expectOptimizer(
    rule,
    parameters.map(({ name }) => name),
  );
  const g = createBuilder(new Graph("optimizer"));
  return { graph: g.graph, bindings: g.during("update", () => appendOptimizer(g, parameters, rule)) };
}

function appendOptimizer(g: Builder, parameters: readonly OptimizedTensor[], rule: OptimizerRule): Binding[] {
  const taken = new Set(parameters.map(({ name }) => name));
  const { controls, bindings } = appendControls(g, rule, taken);
  const raw = parameters.map(({ name, shape }) => g.input(freeName(`${name}_grad`, taken), "float", shape));
  const gradients = clipGradients(g, raw, rule);
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
    const next = g.scope(name.replaceAll(".", "/"), () => updateParameter(g, rule, update));
    bindings.push({ role: "parameter", input: name, output: output(next.weight, weight) });
    bindings.push({
      role: "gradient",
      parameter: name,
      input: nameOf(rawGradient),
      ...(clips(rule) ? { output: output(gradient, rawGradient) } : {}),
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
 * A rule that ONNX Runtime's stock optimizer models have: they update all parameters alike, as one sequence,
 * and may clip the norm of the gradients.
 */
export type StockRule = Extract<UpdateRule, { kind: "sgd" | "adamw" }> & Pick<ClippingSettings, "maxNorm">;

/** Whether there is a stock optimizer model of a rule. */
export function isStockRule(rule: OptimizerRule): rule is StockRule & OptimizerRule {
  if (rule.clipValue !== undefined || Object.keys(rule.groups ?? {}).length > 0) return false;
  return rule.kind === "adamw" || (rule.kind === "sgd" && !rule.weightDecay);
}

/** Returns the rule of a stock optimizer model; undefined where the graph has no optimizer node. */
export function stockOptimizer(graph: Graph): StockRule | undefined {
  const rule = stockRule(graph);
  const clip = graph.nodes.find((node) => isOp(node, "InplaceClipGradNorm"));
  return rule && clip ? { ...rule, maxNorm: clip.attributes.max_norm } : rule;
}

function stockRule(graph: Graph): StockRule | undefined {
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
 * Returns ONNX Runtime's stock optimizer model (orttraining optim.py) of a rule for which `isStockRule`. Its
 * inputs are sequences of all parameters, gradients and moments, which its node updates in place. Throws
 * UserError for a constant outside its range.
 */
export function stockOptimizerGraph(rule: StockRule): Graph {
  expectOptimizer(rule, []);
  const g = createBuilder(new Graph("optimizer"));
  g.during("update", () => appendStock(g, rule));
  return g.graph;
}

function appendStock(g: Builder, rule: StockRule): void {
  const learningRate = g.input("learning_rate", "float", [1]);
  const step = g.input("step", "int64", [1]);
  const sequence = (name: string) => g.inputOf(name, { kind: "sequence", elemType: "float" });
  const [params, raw, first] = [sequence("params"), sequence("gradients"), sequence("first_order_moments")];
  const { maxNorm } = rule;
  const gradients = maxNorm === undefined ? raw : g.InplaceClipGradNorm(raw, { max_norm: maxNorm });
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
