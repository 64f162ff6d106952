import type { ClassificationEvent } from "../../runtime/data/classification-task.ts";
import type { DeviceChoice, DeviceName } from "./model.ts";

/** The settings of a training that a user can choose. The page fixes the others. */
export interface TrainChoices {
  readonly depth: number;
  readonly width: number;
  readonly images: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly device: DeviceChoice;
}

/** A network trained in the page. */
export interface Trained {
  readonly name: string;
  readonly onnx: Uint8Array;
  readonly checkpoint: Uint8Array;
}

export interface TrainingEnd {
  readonly step: number;
  readonly finished: boolean;
}

/** The functions of the worker for the training of the tab Train. */
export interface TrainingCalls {
  /** Starts a training. Returns when it has finished or was stopped. */
  train(choices: TrainChoices): Promise<TrainingEnd>;
  /** Continues the training from its last checkpoint. */
  resume(): Promise<TrainingEnd>;
  /** Stops the training after the step that is running. */
  stop(): Promise<void>;
  /** Freezes the last checkpoint of the training. */
  trained(): Promise<Trained>;
}

/** What the worker tells of that training. */
export type TrainingEvent =
  /** It has its device; the reason is a clause without a full stop. */
  | { readonly type: "prepared"; readonly device: DeviceName; readonly reason: string }
  | Extract<ClassificationEvent, { type: "step" | "epoch" }>;
