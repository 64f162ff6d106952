import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import type { LoweredSession } from "./lowered-session.ts";
import type { NamedTensors } from "./training-session.ts";
import type { AverageStep } from "./weight-averages.ts";

/**
 * The methods of a session that the training loop calls. TrainingSession, ReplicatedSession and
 * OrtTrainingSession have them.
 */
export interface Trainer
  extends Pick<LoweredSession, "learningRate" | "lazyResetGrad" | "runTrainStep" | "runOptimizerStep"> {
  /** Lets the averages of the weights follow the weights; the checkpoint holds both. */
  averageWeights(step: AverageStep): void | Promise<void>;
  checkpoint(): Checkpoint | Promise<Checkpoint>;
}

/**
 * The methods that the training loop calls of a session that takes several steps in one call. ChunkedSession
 * and ChunkedThread have them.
 */
export interface ChunkTrainer {
  /** The most steps that a call should take. */
  readonly stepsPerCall: number;
  /** Joins the feeds of several steps along a new first axis. */
  stack(steps: readonly NamedTensors[]): NamedTensors;
  /** Takes as many steps as there are learning rates. Returns the outputs, one value a step. */
  runSteps(feeds: NamedTensors, learningRates: Float32Array): Promise<NamedTensors>;
  /** Lets the averages of the weights follow the weights; the checkpoint holds both. */
  averageWeights(step: AverageStep): void | Promise<void>;
  checkpoint(): Checkpoint | Promise<Checkpoint>;
}
