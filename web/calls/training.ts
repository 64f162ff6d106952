import type { ClassificationRecord } from "../../runtime/data/classification-task.ts";
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

/** A step of a training, and the weights of branch 1 in it, float [blocks, batch]. */
export interface TrainingStep {
  readonly type: "step";
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly loss: number;
  /** In percent. */
  readonly accuracy: number;
  readonly stepsPerSecond: number;
  readonly secondsLeft: number;
  readonly blocks: number;
  /** The weights of the forward pass. */
  readonly alpha: Float32Array;
  /** The weights of the backward pass. */
  readonly beta: Float32Array;
}

/** An evaluation after an epoch, with the class that the network sees in every test picture. */
export interface TrainingEpoch {
  readonly type: "epoch";
  readonly record: ClassificationRecord;
  readonly predictions: Uint8Array;
}

/** The curves of a training: a point for each step, and a record for each epoch. */
export interface TrainingHistory {
  readonly points: readonly Pick<TrainingStep, "step" | "steps" | "loss" | "accuracy">[];
  readonly records: readonly ClassificationRecord[];
  readonly predictions: Uint8Array;
}

/** A training as the browser keeps it across reloads. */
export interface KeptTraining {
  readonly choices: TrainChoices;
  readonly checkpoint: Uint8Array;
  readonly history: TrainingHistory;
}

/** The test pictures of the training: raw pixels uint8 [count, 3, 32, 32], their classes, and their names. */
export interface TestPictures {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly classNames: readonly string[];
}

/** Maps float [channels, height, width], as a layer of the network has them. */
export interface Maps {
  readonly name: string;
  readonly dims: readonly [channels: number, height: number, width: number];
  readonly values: Float32Array;
}

/** What is inside the network of the last checkpoint. */
export interface Inside {
  /** The filters of the first layer, float [filters, 3, side, side]. */
  readonly filters: { readonly count: number; readonly side: number; readonly values: Float32Array };
  /** The two branches of each block, for one picture. */
  readonly maps: readonly Maps[];
}

/** The functions of the worker for the training of the tab Train. */
export interface TrainingCalls {
  /** Starts a training. Returns when it has finished or was stopped. */
  train(choices: TrainChoices): Promise<TrainingEnd>;
  /** Continues the training from its last checkpoint. */
  resume(): Promise<TrainingEnd>;
  /** Stops the training after the step that is running, or its preparation after the run that is running. */
  stop(): Promise<void>;
  /** Freezes the last checkpoint of the training. Rejects with UserError where it has no update. */
  trained(): Promise<Trained>;
  /** The training of before a reload, which can be resumed; undefined where the browser kept none. */
  restore(): Promise<Omit<KeptTraining, "checkpoint"> | undefined>;
  /** Forgets the training, in the browser too. */
  forget(): Promise<void>;
  /** The test pictures that the predictions are of. */
  testPictures(): Promise<TestPictures>;
  /** What the network of the last checkpoint has inside, for a picture uint8 [3, 32, 32]. */
  inside(image: Uint8Array): Promise<Inside>;
}

/** What the worker tells of that training. */
export type TrainingEvent =
  /** A device is opened and compiles its kernels. */
  | { readonly type: "preparing"; readonly device: DeviceName }
  /** It has its device; the reason is a clause without a full stop. */
  | { readonly type: "prepared"; readonly device: DeviceName; readonly reason: string }
  /** A checkpoint is there; whether the browser could keep it across reloads. */
  | { readonly type: "kept"; readonly isKept: boolean }
  | TrainingStep
  | TrainingEpoch;
