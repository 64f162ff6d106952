import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import type { TrainingSession } from "./training-session.ts";

/**
 * The methods of a session that the training loop calls. TrainingSession, ReplicatedSession and
 * OrtTrainingSession have them.
 */
export interface Trainer
  extends Pick<TrainingSession, "learningRate" | "lazyResetGrad" | "runTrainStep" | "runOptimizerStep"> {
  checkpoint(): Checkpoint | Promise<Checkpoint>;
}
