import type { Checkpoint, Property } from "./checkpoint.ts";

/**
 * What the random numbers of a training model depend on: the masks of its dropouts. A checkpoint keeps both
 * as the properties `random_seed` and `random_step`.
 */
export interface RandomState {
  readonly seed: bigint;
  /**
   * How many training steps have drawn numbers since the training began. Each accumulated batch is a step.
   */
  readonly step: bigint;
}

const SEED = "random_seed";
const STEP = "random_step";

/** The state among the properties of a checkpoint, 0 where it is not there. */
export function randomStateOf(properties: ReadonlyMap<string, Property>): RandomState {
  const number = (name: string) => {
    const value = properties.get(name);
    return typeof value === "bigint" ? value : 0n;
  };
  return { seed: number(SEED), step: number(STEP) };
}

/** The state as properties of a checkpoint. */
export function randomProperties({ seed, step }: RandomState): [string, bigint][] {
  return [
    [SEED, seed],
    [STEP, step],
  ];
}

/** Sets the seed of a checkpoint's random numbers. Leaves one of a training that draws none as it is. */
export function setRandomSeed({ properties }: Pick<Checkpoint, "properties">, seed: bigint): void {
  if (properties.has(SEED)) properties.set(SEED, seed);
}
