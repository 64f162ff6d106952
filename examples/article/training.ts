import { shakeCoefficients } from "shakenet";
import { generateArtifacts } from "shakenet/artifacts";
import {
  type ClassificationTask,
  classificationTask,
  type Dataset,
  type Device,
  freezeEvalModel,
  imageFeeds,
  paperAugmentation,
  TrainingSession,
  train,
} from "shakenet/runtime";
import { articleNetwork, type NetworkSize } from "./network.ts";
import { type Recipe, scheduleOf } from "./recipe.ts";

/** A training of the network, and its data. */
export interface Training extends Omit<NetworkSize, "mean" | "std"> {
  readonly recipe: Recipe;
  readonly trainSet: Dataset;
  readonly testSet: Dataset;
  readonly device: Device;
  readonly batchSize: number;
  readonly epochs: number;
}

/** The files of the training session, and the evaluation model with both branches mixed half and half. */
export function articleArtifacts({ recipe, trainSet, depth, width, seed }: Training) {
  const size = { depth, width, seed, mean: trainSet.mean, std: trainSet.std };
  const options = {
    loss: "cross-entropy",
    countCorrect: true,
    optimizer: {
      kind: recipe.nesterov ? "sgd-nesterov" : "sgd-momentum",
      momentum: 0.9,
      weightDecay: 1e-4,
    },
  } as const;
  const { evalModel } = generateArtifacts(articleNetwork(size, recipe, "test"), options);
  return { ...generateArtifacts(articleNetwork(size, recipe, "train"), options), evalModel };
}

function taskOf(training: Training, evalModel: Uint8Array): ClassificationTask {
  const { recipe, depth, seed, device } = training;
  const translate = recipe.crops ? paperAugmentation.translate : 0;
  const data = { ...training, augmentation: { ...paperAugmentation, translate } };
  const blocks = (depth - 2) / 2;
  const shaking = { forward: "shake", backward: "shake", seed, blocks } as const;
  return {
    ...classificationTask(data, freezeEvalModel(evalModel)),
    feeds: (step) => {
      const { feeds, examples } = imageFeeds(data, step);
      const level = recipe.perImage ? "image" : "batch";
      const { alpha, beta } = shakeCoefficients({ ...shaking, level, batch: examples }, step);
      const tensor = (values: Float32Array) => new device.ort.Tensor("float32", values, [blocks, examples]);
      return { feeds: { ...feeds, alpha: tensor(alpha), beta: tensor(beta) }, examples };
    },
  };
}

/**
 * Trains to the last epoch, and returns its test accuracy in percent. Throws DivergedError where the loss is
 * no longer a finite number.
 */
export async function accuracyOf(training: Training): Promise<number> {
  const { device, epochs, recipe } = training;
  const artifacts = articleArtifacts(training);
  const session = await TrainingSession.create(artifacts, device);
  const settings = {
    epochs,
    learningRate: scheduleOf(recipe),
    checkpointEverySteps: 1_000_000,
    evaluateEveryEpochs: epochs,
    store: { save: async () => {} },
  };
  let accuracy = 0;
  try {
    for await (const event of train(session, taskOf(training, artifacts.evalModel), settings)) {
      if (event.type === "epoch") accuracy = event.record.test_accuracy;
    }
  } finally {
    await session.release();
  }
  return accuracy;
}
