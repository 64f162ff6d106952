import type { AverageStep } from "../session/weight-averages.ts";

/** The kinds of averages that a run can keep of its weights. */
export const averageKinds = ["ema", "lookahead"] as const;

/** How a run averages its weights and running statistics. What is evaluated and exported are the averages. */
export interface AverageSettings {
  /**
   * ema: an exponential moving average, which the training does not see (Polyak and Juditsky 1992).
   * lookahead: slow weights that follow the fast ones, which then start again from them (Zhang et al. 2019,
   * arXiv 1907.08610); they follow less and less during the run (Jordan 2024, arXiv 2404.00498).
   */
  readonly kind: (typeof averageKinds)[number];
  /** The share of the old average in the new one, as if it were made in every step; see `defaultDecays`. */
  readonly decay?: number | undefined;
  /** How many steps lie between two updates of the averages; 5 where left out. */
  readonly everySteps?: number | undefined;
}

/**
 * The decay where none is given: Page 2019 ("How to train your ResNet 8") takes 0.99 every 5 steps, which is
 * 0.998 a step, and Jordan 2024 takes 0.95.
 */
export const defaultDecays: Readonly<Record<AverageSettings["kind"], number>> = {
  ema: 0.998,
  lookahead: 0.95,
};

/** How many steps lie between two updates of the averages. */
export function averageStride({ everySteps = 5 }: Pick<AverageSettings, "everySteps">): number {
  return everySteps;
}

/**
 * How the averages follow the weights after a step, counted from 1 to `steps`; undefined where they wait.
 * - ema: the decay is at most (1 + n) / (10 + n) in the n-th update, so that the first weights are soon
 *   forgotten (TensorFlow's ExponentialMovingAverage).
 * - lookahead: the decay grows with the cube of the run's progress, as in Jordan's airbench94.py.
 */
export function averageStep(
  { kind, decay = defaultDecays[kind], ...settings }: AverageSettings,
  step: number,
  steps: number,
): AverageStep | undefined {
  const everySteps = averageStride(settings);
  if (step % everySteps !== 0) return undefined;
  const full = decay ** everySteps;
  if (kind === "lookahead") return { decay: full * (step / steps) ** 3, pull: true };
  const updates = step / everySteps;
  return { decay: Math.min(full, (1 + updates) / (10 + updates)), pull: false };
}
