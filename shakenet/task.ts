import {
  type ClassificationData,
  type ClassificationTask,
  classificationTask,
  imageFeeds,
} from "../runtime/data/classification-task.ts";
import type { StepFeeds } from "../runtime/loop/task.ts";
import { inferenceModel } from "./inference-model.ts";
import { blockCount, type NetworkSettings } from "./network.ts";
import { type ShakeSettings, shakeCoefficients } from "./shake-noise.ts";

/** A ShakeNet, the scheme that mixes its branches, and its data. The seed determines alpha and beta too. */
export interface ShakeNetTaskOptions extends ClassificationData, ShakeSettings {
  readonly network: NetworkSettings;
  /** The strength of the noise, from 0 to 1, in a step counted from 0; always 1 where left out. */
  readonly strength?: ((step: number) => number) | undefined;
}

/**
 * Trains a ShakeNet: a picture classifier whose training model also takes `alpha` and `beta`, float [blocks,
 * batch]. A checkpoint is evaluated as the frozen network of its weights.
 */
export function shakeNetTask(options: ShakeNetTaskOptions): ClassificationTask {
  return {
    ...classificationTask(options, (checkpoint) => inferenceModel(options.network, checkpoint)),
    feeds: (step) => withCoefficients(imageFeeds(options, step), options, step),
  };
}

function withCoefficients(
  { feeds, examples }: StepFeeds,
  { network, device, forward, backward, level, seed, strength }: ShakeNetTaskOptions,
  step: number,
): StepFeeds {
  const blocks = blockCount(network);
  const { alpha, beta } = shakeCoefficients(
    { forward, backward, level, seed, blocks, batch: examples, strength: strength?.(step) },
    step,
  );
  const coefficients = (data: Float32Array<ArrayBuffer>) =>
    new device.ort.Tensor("float32", data, [blocks, examples]);
  return { feeds: { ...feeds, alpha: coefficients(alpha), beta: coefficients(beta) }, examples };
}
