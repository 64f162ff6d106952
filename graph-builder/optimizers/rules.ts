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

export interface SgdSettings {
  /** Added to the gradient, times the weight; 0 by default. */
  readonly weightDecay?: number | undefined;
}

/** Momentum with coupled weight decay and without dampening. */
export interface MomentumSettings {
  readonly momentum: number;
  readonly weightDecay: number;
}

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
  const { weight, gradient, learningRate } = update;
  const direction = weightDecay === 0 ? gradient : decayed(g, update, weightDecay);
  return { weight: g.Sub(weight, g.Mul(direction, learningRate)), moments: [] };
}

/** The gradient with coupled weight decay: g + decay w. */
function decayed(g: Builder, { weight, gradient }: Update, weightDecay: number): Value {
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
 * + (1-beta) g^2; w' = w - lr (m'_corrected / (sqrt(v'_corrected) + epsilon) + decay w).
 */
export function adamW(g: Builder, update: Update, settings: AdamWSettings): Updated {
  const { weight, gradient, learningRate } = update;
  const { alpha, beta, epsilon, weightDecay, correctBias, mode } = settings;
  const [m, v] = [at(update.moments, 0), at(update.moments, 1)];
  // the kernel computes 1 - alpha and 1 - beta in float32, with a relative error of 1e-5 for 0.999
  const rest = (rate: number) => g.float(1 - Math.fround(rate));
  const first = g.Add(g.Mul(m, g.float(alpha)), g.Mul(gradient, rest(alpha)));
  const second = g.Add(g.Mul(v, g.float(beta)), g.Mul(g.Mul(gradient, gradient), rest(beta)));
  const [m1, v1] = correctBias ? [bias(g, update, alpha), bias(g, update, beta)] : [g.float(1), g.float(1)];
  const decay = g.Mul(learningRate, g.float(weightDecay));
  if (mode === 0) {
    const kept = g.Sub(weight, g.Mul(weight, decay));
    const scale = g.Add(g.Sqrt(g.Div(second, v1)), g.float(epsilon));
    return {
      weight: g.Sub(kept, g.Div(g.Mul(first, g.Div(learningRate, m1)), scale)),
      moments: [first, second],
    };
  }
  const rate = g.Div(g.Mul(learningRate, g.Sqrt(v1)), m1);
  const stepped = g.Sub(weight, g.Div(g.Mul(first, rate), g.Add(g.Sqrt(second), g.float(epsilon))));
  return { weight: g.Sub(stepped, g.Mul(stepped, decay)), moments: [first, second] };
}

/** The bias correction 1 - rate^step. Throws Error without a step. */
function bias(g: Builder, { step }: Update, rate: number): Value {
  if (!step) throw new Error("AdamW with bias correction needs the step");
  return g.Sub(g.float(1), g.Pow(g.float(rate), g.Cast(step, { to: dataTypeNumbers.float })));
}
