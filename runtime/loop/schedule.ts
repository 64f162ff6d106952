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
 * Half a cosine from `peak` to 0, without restarts: 0.5 peak (1 + cos(pi step / steps)).
 * Step 1 is the first step and the last one has a rate of 0, as in the code of Gastaldi 2017 (train.lua:
 * learningRateCosine).
 */
export function cosine(peak: number): Schedule {
  return (step, steps) => 0.5 * peak * (1 + Math.cos((Math.PI * step) / steps));
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

/** Where a one-cycle schedule starts, turns and ends. */
export interface OneCycleOptions {
  /** The share of the steps in which the rate rises; 0.3 where left out. */
  readonly rising?: number;
  /** The first rate is the peak divided by this number; 25 where left out. */
  readonly startDivisor?: number;
  /** The last rate is the first one divided by this number; 10,000 where left out. */
  readonly endDivisor?: number;
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
