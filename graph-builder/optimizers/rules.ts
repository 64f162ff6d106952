import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { type MuonSettings, muon } from "./muon.ts";

/** The inputs of one parameter's optimizer step; `moments` has as many values as the optimizer keeps. */
export interface Update {
  readonly weight: Value;
  readonly gradient: Value;
  readonly moments: readonly Value[];
  /** float [1] */
  readonly learningRate: Value;
  /** int64 [1], counted from 1; only AdamW reads it. */
  readonly step?: Value;
}

/** The results of one parameter's optimizer step. */
export interface Updated {
  readonly weight: Value;
  readonly moments: readonly Value[];
}

/** Stochastic gradient descent with coupled weight decay. */
export interface SgdSettings {
  /** Added to the gradient, times the weight; 0 by default. */
  readonly weightDecay?: number | undefined;
}

/** Momentum with coupled weight decay and without dampening. */
export interface MomentumSettings {
  readonly momentum: number;
  readonly weightDecay: number;
}

/** AdamW: alpha and beta are PyTorch's two betas, and the weight decay is decoupled. */
export interface AdamWSettings {
  readonly alpha: number;
  readonly beta: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly correctBias: boolean;
  /** 0 applies the weight decay before the step, as PyTorch does; 1 after it, as Hugging Face does. */
  readonly mode: 0 | 1;
}

/** An update rule and its settings. */
export type UpdateRule =
  | ({ readonly kind: "sgd" } & SgdSettings)
  | ({ readonly kind: "sgd-momentum" } & MomentumSettings)
  | ({ readonly kind: "sgd-nesterov" } & MomentumSettings)
  | ({ readonly kind: "adamw" } & AdamWSettings)
  | ({ readonly kind: "muon" } & MuonSettings);

/** Appends one parameter's update by a rule. Muon's parameter must have two axes or more. */
export function applyRule(g: Builder, rule: UpdateRule, update: Update): Updated {
  switch (rule.kind) {
    case "sgd":
      return sgd(g, update, rule);
    case "sgd-momentum":
      return sgdMomentum(g, update, rule);
    case "sgd-nesterov":
      return sgdNesterov(g, update, rule);
    case "adamw":
      return adamW(g, update, rule);
    case "muon":
      return muon(g, update, rule);
  }
}

/** Stochastic gradient descent with coupled weight decay: w' = w - lr (g + decay w). */
export function sgd(g: Builder, update: Update, { weightDecay = 0 }: SgdSettings = {}): Updated {
  const { weight, learningRate } = update;
  const direction = decayed(g, update, weightDecay);
  return { weight: g.Sub(weight, g.Mul(direction, learningRate)), moments: [] };
}

/** The gradient with coupled weight decay: g + decay w. */
function decayed(g: Builder, { weight, gradient }: Update, weightDecay: number): Value {
  if (weightDecay === 0) return gradient;
  return g.Add(gradient, g.Mul(weight, g.float(weightDecay)));
}

/**
 * Momentum with coupled weight decay and without dampening (torch.optim.SGD): d = g + decay w;
 * v' = mu v + d; w' = w - lr v'.
 */
export function sgdMomentum(
  g: Builder,
  update: Update,
  { momentum, weightDecay }: MomentumSettings,
): Updated {
  const { weight, learningRate } = update;
  const direction = decayed(g, update, weightDecay);
  const next = g.Add(g.Mul(at(update.moments, 0), g.float(momentum)), direction);
  return { weight: g.Sub(weight, g.Mul(next, learningRate)), moments: [next] };
}

/**
 * Nesterov momentum with coupled weight decay and without dampening (Torch's optim.sgd):
 * d = g + decay w; v' = mu v + d; w' = w - lr (d + mu v').
 */
export function sgdNesterov(
  g: Builder,
  update: Update,
  { momentum, weightDecay }: MomentumSettings,
): Updated {
  const { weight, learningRate } = update;
  const velocity = at(update.moments, 0);
  const mu = g.float(momentum);
  const own = decayed(g, update, weightDecay);
  const next = g.Add(g.Mul(velocity, mu), own);
  const direction = g.Add(own, g.Mul(next, mu));
  return { weight: g.Sub(weight, g.Mul(direction, learningRate)), moments: [next] };
}

/**
 * AdamW as ONNX Runtime's kernel computes it (orttraining adamw.cc): m' = alpha m + (1-alpha) g; v' = beta v
 * + (1-beta) g^2; w' = w - lr (m'_corrected / (sqrt(v'_corrected) + epsilon) + decay w). Both corrections and
 * the decay are factors of the rate, of epsilon and of w, so that no pass over all numbers divides by them.
 */
export function adamW(g: Builder, update: Update, settings: AdamWSettings): Updated {
  const { weight, gradient } = update;
  const { alpha, beta, mode } = settings;
  const [m, v] = [at(update.moments, 0), at(update.moments, 1)];
  // the kernel computes 1 - alpha and 1 - beta in float32, with a relative error of 1e-5 for 0.999
  const rest = (rate: number) => g.float(1 - Math.fround(rate));
  const first = g.Add(g.Mul(m, g.float(alpha)), g.Mul(gradient, rest(alpha)));
  const second = g.Add(g.Mul(v, g.float(beta)), g.Mul(g.Mul(gradient, gradient), rest(beta)));
  const { rate, epsilon } = corrected(g, update, settings);
  const change = g.Div(g.Mul(first, rate), g.Add(g.Sqrt(second), epsilon));
  const keep = (value: Value) => kept(g, value, update, settings);
  const next = mode === 0 ? g.Sub(keep(weight), change) : keep(g.Sub(weight, change));
  return { weight: next, moments: [first, second] };
}

/**
 * The rate and epsilon of a step with bias correction: lr sqrt(1 - beta^step) / (1 - alpha^step) and epsilon
 * sqrt(1 - beta^step). Hugging Face's form leaves epsilon as it is.
 */
function corrected(g: Builder, update: Update, { alpha, beta, correctBias, mode, ...own }: AdamWSettings) {
  const epsilon = g.float(own.epsilon);
  if (!correctBias) return { rate: update.learningRate, epsilon };
  const root = g.Sqrt(bias(g, update, beta));
  const rate = g.Div(g.Mul(update.learningRate, root), bias(g, update, alpha));
  return { rate, epsilon: mode === 0 ? g.Mul(epsilon, root) : epsilon };
}

/** A weight after its decay: w (1 - lr decay). */
function kept(g: Builder, value: Value, { learningRate }: Update, { weightDecay }: AdamWSettings): Value {
  if (weightDecay === 0) return value;
  return g.Mul(value, g.Sub(g.float(1), g.Mul(learningRate, g.float(weightDecay))));
}

/** The bias correction 1 - rate^step. Throws Error without a step. */
function bias(g: Builder, { step }: Update, rate: number): Value {
  if (!step) throw new Error("AdamW with bias correction needs the step");
  return g.Sub(g.float(1), g.Pow(g.float(rate), g.Cast(step, { to: dataTypeNumbers.float })));
}
