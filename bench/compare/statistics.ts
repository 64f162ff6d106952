import { at } from "../../graph-builder/index.ts";

/** The median, the smallest and the largest of some values. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The spread of some values. Throws RangeError for an empty list. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2)];
  const median = (at(sorted, low) + at(sorted, high)) / 2;
  return { median, min: at(sorted, 0), max: at(sorted, sorted.length - 1) };
}

/**
 * The median of some values with the smallest and the largest, as text. Throws RangeError for an empty list.
 */
export function describeSpread(values: readonly number[], decimals: number): string {
  const { median, min, max } = spreadOf(values);
  return `${median.toFixed(decimals)} (${min.toFixed(decimals)} to ${max.toFixed(decimals)})`;
}

/** The highest rate of several peers in each round. A peer may have fewer rounds than another. */
export function fastestOf(rates: readonly (readonly number[])[]): number[] {
  const rounds = Math.max(0, ...rates.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) =>
    Math.max(...rates.flatMap((peer) => peer.slice(round, round + 1))),
  );
}

/** The spread of rate / base in the rounds that both have; undefined where there are none. */
export function pairedRatio(rates: readonly number[], base: readonly number[]): Spread | undefined {
  const rounds = Math.min(rates.length, base.length);
  const ratios = Array.from({ length: rounds }, (_, round) => at(rates, round) / at(base, round));
  return rounds === 0 ? undefined : spreadOf(ratios);
}

/** The largest relative difference from the expected losses; Infinity where a loss is missing or is NaN. */
export function largestDeviation(losses: readonly number[], expected: readonly number[]): number {
  const deviations = expected.map(
    (value, i) => Math.abs((losses[i] ?? Number.NaN) - value) / Math.abs(value),
  );
  return deviations.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(0, ...deviations);
}

/** The number of rounds of a peer, and the steps of a round. */
export interface Turns {
  readonly rounds: number;
  readonly steps: number;
}

/**
 * The turns that fit into `patience` seconds for a peer whose step takes `stepSeconds`. First the steps of a
 * round are reduced, then the rounds. Both are at least 1.
 */
export function affordableTurns(wanted: Turns, stepSeconds: number, patience: number): Turns {
  const fit = (most: number, seconds: number) => Math.max(1, Math.min(most, Math.floor(patience / seconds)));
  const steps = fit(wanted.steps, wanted.rounds * stepSeconds);
  return { steps, rounds: fit(wanted.rounds, steps * stepSeconds) };
}
