import type { Checkpoint, Manifest, TrainingArtifacts } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type {
  ClassificationRecord,
  ClassificationTask,
  Classifier,
  Dataset,
  Device,
  Link,
} from "../../../runtime/index.ts";
import type { RunDirectory } from "../../../runtime/node/run/run-directory.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import { type RunConfig, settingOf } from "../../../shakenet/node/run-config.ts";
import type { OpenedData } from "../../data/open-data.ts";

/** The settings that every training has. */
export type TrainConfig = Pick<
  RunConfig,
  | "data"
  | "pictures"
  | "dataDir"
  | "trainLimit"
  | "testLimit"
  | "epochs"
  | "batchSize"
  | "lastBatch"
  | "learningRate"
  | "schedule"
  | "warmUp"
  | "finalRate"
  | "average"
  | "averageDecay"
  | "averageEverySteps"
  | "tta"
  | "earlySize"
  | "earlyShare"
  | "evaluateEveryEpochs"
  | "patienceEpochs"
  | "checkpointEverySteps"
  | "saveEvery"
  | "checkpointHist"
  | "tensorboard"
  | "engine"
  | "device"
  | "replicas"
  | "ranks"
>;

/** The folder of a run. */
export type TrainRun = RunDirectory<TrainConfig, Manifest, ClassificationRecord>;

/** The two splits of a run's data set. */
export interface DataSets {
  readonly trainSet: Dataset;
  readonly testSet: Dataset;
}

/** What is trained, for people. */
export interface Description {
  readonly title: string;
  /** What the network is. */
  readonly network: string;
  /** What updates it. */
  readonly optimizer: string;
  /** The recipe and its settings as flags. */
  readonly recipe?: string | undefined;
  /** The name of an exported model. */
  readonly file: string;
}

/** What is trained: a ShakeNet, or a model that came from a file. */
export interface Subject {
  readonly config: TrainConfig;
  readonly manifest: Manifest;
  readonly artifacts: TrainingArtifacts;
  /** The first checkpoint of a new run, the last one of another. */
  readonly checkpoint: Uint8Array;
  readonly description: Description;
  /** The training images that are used; all of them where left out. */
  readonly limit?: (trainSet: Dataset) => Dataset;
  /** Sets what the first checkpoint of a run takes from its data. */
  readonly takeFromData?: (checkpoint: Checkpoint, trainSet: Dataset) => void;
  /** The link connects the ranks that train together. */
  readonly openEngine: (checkpoint: Uint8Array, link?: Link) => Promise<ShakeNetEngine>;
  /** The link connects the ranks that evaluate together. */
  readonly taskOf: (sets: DataSets, device: Device, link?: Link) => ClassificationTask;
  /** A sentence about the loss of a step that looks as if the data were fed wrongly. */
  readonly hint?: (step: { readonly step: number; readonly loss: number }) => string | undefined;
  /** The trained network as one .onnx; the accuracy is that on the test images, in percent. */
  readonly freeze: (checkpoint: Checkpoint, where: string, testAccuracy: number) => Uint8Array;
  /** Opens that .onnx. It classifies images of the size of the data set. */
  readonly openClassifier: (
    bytes: Uint8Array,
    device: Device,
  ) => Promise<Pick<Classifier, "logits" | "release">>;
}

/**
 * A run before its first step. Its folder is created or changed last, after everything else has succeeded.
 */
export interface PreparedRun extends Subject {
  readonly data: OpenedData;
  /** Makes or opens the folder. The checkpoint is the first one of a new run. */
  readonly openDirectory: (checkpoint: Uint8Array) => Promise<TrainRun>;
  /** The checkpoint's path in errors. */
  readonly where: string;
}

/**
 * Throws UserError for a setting that differs from its fixed value, unless it is one of `free`.
 */
export function refuseContradictions(
  given: Readonly<Record<string, unknown>>,
  fixed: Readonly<Record<string, unknown>>,
  where: string,
  free: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries(given)) {
    const own = settingOf(fixed, name);
    if (free.includes(name) || !(name in fixed) || own === value) continue;
    const flag = kebabCase(name);
    const kept = own === undefined ? `no ${flag}` : `${flag} ${own}`;
    throw new UserError(`--${flag} ${value} contradicts ${where}, which has ${kept}: leave it out.`, {
      code: "setting-conflict",
      details: { setting: name, value, fixed: own },
    });
  }
}
