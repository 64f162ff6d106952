import type { Metrics } from "./task.ts";

/** A checkpoint is the latest one, or the best one so far. */
export type CheckpointKind = "last" | "best";

/** What a run is after an epoch, as one line of numbers for a file. */
export type EpochRecord<
  Train extends string = string,
  Test extends string = string,
  Unit extends string = string,
> = {
  /** Counted from 1. */
  readonly epoch: number;
  /** Steps since the start of the run. */
  readonly step: number;
  /** The rate of the epoch's last step. */
  readonly learning_rate: number;
  readonly seconds: number;
} & Metrics<`train_${Train}` | `test_${Test}` | `${Unit}_per_second`>;

/** What happens in a run, in order. A terminal and a page render the same events. */
export type TrainingEvent<
  Train extends string = string,
  Test extends string = string,
  Unit extends string = string,
> =
  | {
      readonly type: "step";
      readonly epoch: number;
      readonly step: number;
      readonly steps: number;
      /** Means over the epoch so far. */
      readonly metrics: Metrics<Train>;
      /** The metrics of this step alone. */
      readonly batchMetrics: Metrics<Train>;
      readonly learningRate: number;
      /** The rate of the last steps, as a trimmed mean: a pause has no effect. */
      readonly examplesPerSecond: number;
      /**
       * The time of the steps and evaluations that are left, by the trimmed mean of the last ones; steps of
       * another cost (`Task.stepCost`) count in proportion.
       */
      readonly secondsLeft: number;
    }
  | { readonly type: "evaluation"; readonly done: number; readonly of: number }
  | { readonly type: "epoch"; readonly record: EpochRecord<Train, Test, Unit>; readonly isBest: boolean }
  | { readonly type: "checkpoint"; readonly kind: CheckpointKind; readonly step: number }
  | { readonly type: "interrupted"; readonly step: number };
