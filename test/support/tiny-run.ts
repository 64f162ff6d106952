import type { InputSizes } from "../../graph-builder/index.ts";
import {
  ChunkedSession,
  type ChunkSettings,
  cosine,
  datasets,
  type EarlySize,
  shapesDataset,
  TrainingSession,
  type TrainSettings,
} from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  type ShakeNetArtifacts,
  type ShakeNetTaskOptions,
  shakeNetTask,
} from "../../shakenet/index.ts";
import { memoryStore } from "./training-runs.ts";

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

/** Opens artifacts on one CPU thread, with another checkpoint if one is given. */
export async function openTiny(artifacts: ShakeNetArtifacts, checkpoint = artifacts.checkpoint) {
  const device = await openDevice("cpu", { threads: 1 });
  return { device, session: await TrainingSession.create({ ...artifacts, checkpoint }, device) };
}

/** The settings that a test can change. */
interface TinyChanges
  extends Partial<
      Pick<TrainSettings, "epochs" | "checkpointEverySteps" | "evaluateEveryEpochs" | "average" | "signal">
    >,
    Partial<
      Pick<
        ShakeNetTaskOptions,
        "forward" | "backward" | "level" | "augmentation" | "strength" | "earlySize" | "mixing"
      >
    > {
  /** The peak of the cosine. */
  readonly learningRate?: number;
  /** What the artifacts are built from beside the smallest settings. */
  readonly artifacts?: Partial<ArtifactSettings>;
  /** Takes several steps a call. */
  readonly chunk?: ChunkSettings | undefined;
}

/** A run on 40 pictures of `shapes` in batches of 16. The last batch of an epoch has 8. */
export async function tinyRun(
  {
    learningRate = 0.05,
    forward = "shake",
    backward = "shake",
    level = "image",
    augmentation,
    strength,
    earlySize,
    mixing,
    artifacts: built = {},
    chunk,
    ...changes
  }: TinyChanges = {},
  checkpoint?: Uint8Array,
) {
  const artifacts = buildTrainingArtifacts(tinySettings(built));
  const device = await openDevice("cpu", { threads: 1 });
  const sources = { ...artifacts, checkpoint: checkpoint ?? artifacts.checkpoint };
  const session = chunk
    ? await ChunkedSession.create(sources, device, chunk)
    : await TrainingSession.create(sources, device, { inputSizes: earlySize && sizesOf(earlySize) });
  const { saved, store } = memoryStore();
  const network = artifacts.manifest.settings;
  const testSet = shapesDataset("test", 24);
  const data = { trainSet: shapesDataset("train", 40), testSet, batchSize: 16, seed: 3, device };
  const settings: TrainSettings = {
    epochs: 2,
    learningRate: cosine(learningRate),
    checkpointEverySteps: 2,
    store,
    ...changes,
  };
  const task = shakeNetTask({
    ...data,
    network,
    forward,
    backward,
    level,
    augmentation,
    strength,
    mixing,
    earlySize,
  });
  return { session, device, task, settings, network, testSet, saved };
}

/** The sizes of the images of a run that begins with others. */
function sizesOf({ side }: EarlySize): InputSizes[] {
  return [{ images: [null, 3, 32, 32] }, { images: [null, 3, side, side] }];
}
