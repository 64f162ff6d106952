import type { Task } from "./task.ts";

/** The number of measurements that an estimate is made of. */
const WINDOW = 64;

/**
 * The mean of the last measurements without the largest and the smallest eighth (a trimmed mean). A pause,
 * such as a suspended laptop, is one large measurement and has no effect.
 */
export class TrimmedMean {
  readonly #values: number[] = [];

  add(value: number): void {
    this.#values.push(value);
    if (this.#values.length > WINDOW) this.#values.shift();
  }

  /** NaN before the first measurement. */
  get value(): number {
    const { length } = this.#values;
    const cut = length < 3 ? 0 : Math.ceil(length / 8);
    const kept = this.#values.toSorted((a, b) => a - b).slice(cut, length - cut);
    return kept.reduce((sum, value) => sum + value, 0) / kept.length;
  }
}

/**
 * How many evaluations follow those of the first `done` epochs: one every `every` epochs, and the last one.
 */
export function evaluationsLeft(done: number, epochs: number, every = 1): number {
  return done >= epochs ? 0 : Math.ceil(epochs / every) - Math.floor(done / every);
}

/** The sum of the costs of the steps that are left when the first `done` steps of a run are. */
export function costLeft(
  done: number,
  epochs: number,
  task: Pick<Task, "stepsPerEpoch" | "stepCost">,
): number {
  const { stepsPerEpoch } = task;
  const first = Math.floor(done / stepsPerEpoch);
  let cost = 0;
  for (let epoch = first; epoch < epochs; epoch++) {
    const steps = epoch === first ? stepsPerEpoch - (done % stepsPerEpoch) : stepsPerEpoch;
    cost += steps * (task.stepCost?.(epoch) ?? 1);
  }
  return cost;
}

/**
 * The speed of a run by its last steps and evaluations, for the display of a rate and of the time left. It
 * goes on from epoch to epoch, and pauses do not change it.
 */
export class Pace {
  #since = performance.now();
  readonly #secondsPerCost = new TrimmedMean();
  readonly #secondsPerExample = new TrimmedMean();
  readonly #secondsPerEvaluation = new TrimmedMean();

  /**
   * Counts the steps of a call by their numbers of examples; each has the same cost (`Task.stepCost`). The
   * call ends now.
   */
  countSteps(examples: readonly number[], cost = 1): void {
    const seconds = this.#lap();
    this.#secondsPerCost.add(seconds / (cost * examples.length));
    this.#secondsPerExample.add(seconds / examples.reduce((sum, count) => sum + count, 0));
  }

  /** Counts an evaluation, which ends now, with the checkpoints that were saved after it. */
  countEvaluation(): void {
    this.#secondsPerEvaluation.add(this.#lap());
  }

  get examplesPerSecond(): number {
    return 1 / this.#secondsPerExample.value;
  }

  /**
   * The time of steps by the sum of their costs, and of some evaluations. An evaluation counts nothing
   * before the first one.
   */
  secondsFor(cost: number, evaluations: number): number {
    return cost * this.#secondsPerCost.value + evaluations * (this.#secondsPerEvaluation.value || 0);
  }

  #lap(): number {
    const now = performance.now();
    const seconds = (now - this.#since) / 1000;
    this.#since = now;
    return seconds;
  }
}
