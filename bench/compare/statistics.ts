/** The middle of some values and their ends. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws RangeError for no values. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  if (min === undefined || max === undefined || low === undefined || high === undefined) {
    throw new RangeError("no values have no middle");
  }
  return { median: (low + high) / 2, min, max };
}

/** Of each round the highest rate of several peers; as many rounds as the peer with the most has. */
export function fastestOf(rates: readonly (readonly number[])[]): number[] {
  const rounds = Math.max(0, ...rates.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => Math.max(...rates.map((peer) => peer[round] ?? 0)));
}

/** The ratios of two peers' rates, round by round, over the rounds that both have; undefined where there are none. */
export function pairedRatio(rates: readonly number[], base: readonly number[]): Spread | undefined {
  const rounds = Math.min(rates.length, base.length);
  const ratios = Array.from({ length: rounds }, (_, round) => (rates[round] ?? 0) / (base[round] ?? 0));
  return rounds === 0 ? undefined : spreadOf(ratios);
}

/** How far losses are from those expected, at most, relative to them; Infinity where one is missing or no number. */
export function largestDeviation(losses: readonly number[], expected: readonly number[]): number {
  const deviations = expected.map(
    (value, i) => Math.abs((losses[i] ?? Number.NaN) - value) / Math.abs(value),
  );
  return deviations.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(0, ...deviations);
}

/** The rounds and the steps of each that a peer takes. */
export interface Turns {
  readonly rounds: number;
  readonly steps: number;
}

/** What fits into `patience` seconds for a peer whose step takes `stepSeconds`: fewer steps a round first, then fewer rounds; one at least. */
export function affordableTurns(wanted: Turns, stepSeconds: number, patience: number): Turns {
  const fit = (most: number, seconds: number) => Math.max(1, Math.min(most, Math.floor(patience / seconds)));
  const steps = fit(wanted.steps, wanted.rounds * stepSeconds);
  return { steps, rounds: fit(wanted.rounds, steps * stepSeconds) };
}
