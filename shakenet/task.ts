import {
  type ClassificationData,
  type ClassificationTask,
  classificationTask,
  imageFeeds,
} from "../runtime/data/classification-task.ts";
import type { StepFeeds } from "../runtime/loop/task.ts";
import { inferenceModel } from "./inference-model.ts";
import { blockCount, type NetworkSettings } from "./network.ts";
import { regularizationOf } from "./regularization.ts";
import { shakeDropCoefficients } from "./shake-drop.ts";
import { type ShakeSettings, shakeCoefficients } from "./shake-noise.ts";

/**
 * A network, the scheme of Shake-Shake, whose level is ShakeDrop's too, and the data. The seed determines the
 * noise too.
 */
export interface ShakeNetTaskOptions extends ClassificationData, ShakeSettings {
  readonly network: NetworkSettings;
  /** The strength of the noise, from 0 to 1, in a step counted from 0; always 1 where left out. */
  readonly strength?: ((step: number) => number) | undefined;
}

/**
 * Trains a ShakeNet or another network of this room: a picture classifier whose training model also takes the
 * random numbers of its noise, float [blocks, batch]. A checkpoint is evaluated as the frozen network of its
 * weights.
 */
export function shakeNetTask(options: ShakeNetTaskOptions): ClassificationTask {
  return {
    ...classificationTask(options, (checkpoint) => inferenceModel(options.network, checkpoint)),
    feeds: (step) => withNoise(imageFeeds(options, step), options, step),
  };
}

function withNoise({ feeds, examples }: StepFeeds, options: ShakeNetTaskOptions, step: number): StepFeeds {
  const { network, device } = options;
  const shape = [blockCount(network), examples];
  const noise = Object.entries(coefficientsOf(options, step, examples)).map(([name, data]) => [
    name,
    new device.ort.Tensor("float32", data, shape),
  ]);
  return { feeds: { ...feeds, ...Object.fromEntries(noise) }, examples };
}

/** The random numbers of a step by the names of the training model's inputs. */
function coefficientsOf(
  { network, forward, backward, level, seed, strength }: ShakeNetTaskOptions,
  step: number,
  batch: number,
): Readonly<Record<string, Float32Array<ArrayBuffer>>> {
  const common = { level, seed, blocks: blockCount(network), batch };
  switch (regularizationOf(network)) {
    case "none":
      return {};
    case "shake-drop":
      return { ...shakeDropCoefficients({ ...common, survival: network.survival }, step) };
    case "shake-shake":
      return { ...shakeCoefficients({ ...common, forward, backward, strength: strength?.(step) }, step) };
  }
}
