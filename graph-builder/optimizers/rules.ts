import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";

/** One parameter's tensors in an optimizer step; `moments` as many as the optimizer keeps. */
export interface Update {
  readonly weight: Value;
  readonly gradient: Value;
  readonly moments: readonly Value[];
  /** float [1] */
  readonly learningRate: Value;
  /** int64 [1], counted from 1; only AdamW reads it. */
  readonly step?: Value;
}

/** What an optimizer step leaves behind. */
export interface Updated {
  readonly weight: Value;
  readonly moments: readonly Value[];
}

export interface SgdNesterovSettings {
  readonly momentum: number;
  readonly weightDecay: number;
}

export interface AdamWSettings {
  readonly alpha: number;
  readonly beta: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly correctBias: boolean;
  /** 0 decays the weight before the step, as PyTorch; 1 after it, as Hugging Face. */
  readonly mode: 0 | 1;
}

/** w - lr * g. */
export function sgd(g: Builder, { weight, gradient, learningRate }: Update): Updated {
  return { weight: g.Sub(weight, g.Mul(gradient, learningRate)), moments: [] };
}

/**
 * Nesterov momentum with coupled weight decay, no dampening (Torch's optim.sgd):
 * d = g + decay w; v' = mu v + d; w' = w - lr (d + mu v').
 */
export function sgdNesterov(
  g: Builder,
  update: Update,
  { momentum, weightDecay }: SgdNesterovSettings,
): Updated {
  const { weight, gradient, learningRate } = update;
  const velocity = momentAt(update, 0);
  const mu = g.float(momentum);
  const decayed = g.Add(gradient, g.Mul(weight, g.float(weightDecay)));
  const next = g.Add(g.Mul(velocity, mu), decayed);
  const direction = g.Add(decayed, g.Mul(next, mu));
  return { weight: g.Sub(weight, g.Mul(direction, learningRate)), moments: [next] };
}

/**
 * AdamW as ONNX Runtime's kernel computes it (orttraining adamw.cc):
 * m' = alpha m + (1-alpha) g; v' = beta v + (1-beta) g^2; w' = w - lr (m'_corrected / (sqrt(v'_corrected) + epsilon) + decay w).
 */
export function adamW(g: Builder, update: Update, settings: AdamWSettings): Updated {
  const { weight, gradient, learningRate } = update;
  const { alpha, beta, epsilon, weightDecay, correctBias, mode } = settings;
  const [m, v] = [momentAt(update, 0), momentAt(update, 1)];
  // the kernel takes 1 - alpha and 1 - beta in float32, which for 0.999 is off by 1e-5
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

/** 1 - rate^step. */
function bias(g: Builder, { step }: Update, rate: number): Value {
  if (!step) throw new Error("AdamW with bias correction needs the step");
  return g.Sub(g.float(1), g.Pow(g.float(rate), g.Cast(step, { to: dataTypeNumbers.float })));
}

function momentAt({ moments }: Update, index: number): Value {
  const moment = moments[index];
  if (!moment) throw new Error(`the optimizer needs moment ${index}`);
  return moment;
}
