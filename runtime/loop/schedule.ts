/**
 * The learning rate of a step. Steps are counted from 1 to `steps`, the number of all steps of the run. Step
 * 0, which is never taken, is where a schedule starts.
 */
export type Schedule = (step: number, steps: number) => number;

/** The same rate for every step. */
export function constant(rate: number): Schedule {
  return () => rate;
}

/** A straight line from `start` to `end`. */
export function linear(start: number, end = 0): Schedule {
  return (step, steps) => start + ((end - start) * step) / steps;
}

/**
 * Half a cosine from `peak` to `end`, without restarts: end + 0.5 (peak - end) (1 + cos(pi step / steps)).
 * Step 1 is the first step and the last one has the rate `end`, by default 0, as in the code of Gastaldi 2017
 * (train.lua: learningRateCosine).
 */
export function cosine(peak: number, end = 0): Schedule {
  return (step, steps) => end + 0.5 * (peak - end) * (1 + Math.cos((Math.PI * step) / steps));
}

/**
 * A straight line from 0 over the first `warmSteps` steps to where `after` starts, and then `after` over the
 * other steps.
 */
export function warmUp(warmSteps: number, after: Schedule): Schedule {
  return (step, steps) => {
    const rest = Math.max(1, steps - warmSteps);
    return step < warmSteps ? (after(0, rest) * step) / warmSteps : after(step - warmSteps, rest);
  };
}

/** How a learning rate can fall. */
export const scheduleShapes = ["cosine", "linear", "constant"] as const;

/** A schedule in words. Shares are numbers from 0 to 1. */
export interface ScheduleSettings {
  /** The highest rate. */
  readonly learningRate: number;
  /** How the rate falls; a cosine where left out. */
  readonly schedule?: (typeof scheduleShapes)[number] | undefined;
  /** The share of the steps in which the rate first rises from 0 along a straight line; 0 where left out. */
  readonly warmUp?: number | undefined;
  /** The last rate as a share of the highest one, where the rate falls; 0 where left out. */
  readonly finalRate?: number | undefined;
}

/**
 * The schedule that settings describe. `linear` with a warm-up is the triangle of Smith 2015 (arXiv
 * 1506.01186).
 */
export function scheduleOf({
  learningRate,
  schedule = "cosine",
  warmUp: share = 0,
  finalRate = 0,
}: ScheduleSettings): Schedule {
  const end = finalRate * learningRate;
  const after = {
    cosine: () => cosine(learningRate, end),
    linear: () => linear(learningRate, end),
    constant: () => constant(learningRate),
  }[schedule]();
  return (step, steps) => warmUp(Math.round(share * steps), after)(step, steps);
}

/** Where a one-cycle schedule starts, turns and ends. */
export interface OneCycleOptions {
  /** The share of the steps in which the rate rises; 0.3 where left out. */
  readonly rising?: number | undefined;
  /** The first rate is the peak divided by this number; 25 where left out. */
  readonly startDivisor?: number | undefined;
  /** The last rate is the first one divided by this number; 10,000 where left out. */
  readonly endDivisor?: number | undefined;
}

/**
 * Half a cosine up to `peak` and half a cosine down (Smith and Topin 2018, "Super-Convergence"). The rates
 * and the defaults are those of PyTorch's OneCycleLR with anneal_strategy "cos".
 */
export function oneCycle(
  peak: number,
  { rising = 0.3, startDivisor = 25, endDivisor = 10_000 }: OneCycleOptions = {},
): Schedule {
  const first = peak / startDivisor;
  return (step, steps) => {
    const [index, turn, end] = [step - 1, rising * steps - 1, steps - 1];
    if (index < turn) return between(first, peak, index / turn);
    return between(peak, first / endDivisor, end > turn ? (index - turn) / (end - turn) : 0);
  };
}

/** The value at a share of half a cosine from `start` to `end`. */
function between(start: number, end: number, share: number): number {
  return end + ((start - end) * (1 + Math.cos(Math.PI * share))) / 2;
}
