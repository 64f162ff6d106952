import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import type { TrainingSession } from "./training-session.ts";

/** What the loop asks of a session, be it ours, replicas of it, or ONNX Runtime's own. */
export interface Trainer
  extends Pick<TrainingSession, "learningRate" | "lazyResetGrad" | "runTrainStep" | "runOptimizerStep"> {
  checkpoint(): Checkpoint | Promise<Checkpoint>;
}
