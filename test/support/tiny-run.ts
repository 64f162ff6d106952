import { datasets, loadDataset } from "../../runtime/data/dataset.ts";
import { openDevice, TrainingSession } from "../../runtime/index.ts";
import type { ShakeNetArtifacts } from "../../shakenet/index.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  type TrainingRun,
  type TrainingSettings,
} from "../../shakenet/index.ts";

/** The settings of the smallest ShakeNet, for tests. */
export function tinySettings(changes: Partial<ArtifactSettings> = {}): ArtifactSettings {
  const { mean, std } = datasets.shapes;
  return {
    depth: 8,
    width: 2,
    classes: 10,
    mean,
    std,
    target: "ort-training",
    optimizer: "sgd-nesterov",
    momentum: 0.9,
    weightDecay: 1e-4,
    seed: 1,
    ...changes,
  };
}

/** A session on one CPU thread over artifacts, with its checkpoint replaced where one is given. */
export async function openTiny(artifacts: ShakeNetArtifacts, checkpoint = artifacts.checkpoint) {
  const device = await openDevice("cpu", { threads: 1 });
  const sources = {
    checkpointState: checkpoint,
    trainModel: artifacts.trainingModel,
    evalModel: artifacts.evalModel,
    optimizerModel: artifacts.optimizerModel,
  };
  return { device, session: await TrainingSession.create(sources, device) };
}

/** A run on 40 pictures of `shapes` in batches of 16, so that the last batch of an epoch is smaller. */
export async function tinyRun(
  changes: Partial<TrainingSettings> = {},
  checkpoint?: Uint8Array,
): Promise<TrainingRun & { saved: Map<"last" | "best", Uint8Array> }> {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const saved = new Map<"last" | "best", Uint8Array>();
  const settings: TrainingSettings = {
    forward: "shake",
    backward: "shake",
    level: "image",
    epochs: 2,
    batchSize: 16,
    learningRate: 0.05,
    seed: 3,
    checkpointEverySteps: 2,
    ...changes,
  };
  return {
    ...(await openTiny(artifacts, checkpoint)),
    settings,
    network: artifacts.manifest.settings,
    trainSet: await loadDataset("shapes", { split: "train", limit: 40 }),
    testSet: await loadDataset("shapes", { split: "test", limit: 24 }),
    store: {
      save: async (kind, bytes) => {
        saved.set(kind, bytes);
      },
    },
    saved,
  };
}
