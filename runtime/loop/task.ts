import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import type { NamedTensors } from "../session/training-session.ts";

/** Numbers by the names that a task gives its metrics. */
export type Metrics<Name extends string> = Readonly<Record<Name, number>>;

/** How a metric of training follows from an output of the training model. */
export interface TrainingMetric {
  /** The output's name. The output holds one number. */
  readonly output: string;
  /**
   * Whether the output is a mean over the examples of a step, such as a loss, or a sum over them, such as a
   * count.
   */
  readonly over: "mean" | "sum";
  /** The metric is the mean over all examples times this number: 100 makes a percentage. */
  readonly scale: number;
}

/** What one step is fed. */
export interface StepFeeds {
  /** The inputs of the training model by their names, without its parameters. */
  readonly feeds: NamedTensors;
  /** How many examples they hold. */
  readonly examples: number;
}

/** How far an evaluation is, in examples. */
export interface EvaluationProgress {
  readonly done: number;
  readonly of: number;
}

/** Which metric of the evaluation decides whether a checkpoint is the best one. */
export interface BestRule<Test extends string> {
  readonly metric: Test;
  readonly higherIsBetter: boolean;
  /** What the first evaluation is compared with. It is finite, because it is kept as JSON. */
  readonly worst: number;
}

/**
 * What a training loop has to know of the thing that is trained. `Train` and `Test` are the names of the
 * metrics of training and of evaluation, `Unit` says in the plural what an example is, such as `images`.
 */
export interface Task<
  Train extends string = string,
  Test extends string = string,
  Unit extends string = string,
> {
  readonly unit: Unit;
  readonly stepsPerEpoch: number;
  /**
   * The cost of a step of an epoch, counted from 0: its time is in proportion to it, as to the number of
   * pixels of its pictures. The time left is told by it. All epochs cost the same where left out.
   */
  stepCost?(epoch: number): number;
  /**
   * The metrics of training in the order in which they are reported. A metric that is not finite ends the
   * run.
   */
  readonly metrics: Readonly<Record<Train, TrainingMetric>>;
  readonly best: BestRule<Test>;
  /**
   * The feeds of a step, counted from 0 over the whole run. They must depend on the number alone: a run that
   * was cut asks again for the steps after its last checkpoint.
   */
  feeds(step: number): StepFeeds | Promise<StepFeeds>;
  /** Measures a checkpoint. Yields how far it is and returns the metrics. */
  evaluate(checkpoint: Checkpoint): AsyncGenerator<EvaluationProgress, Metrics<Test>>;
}
