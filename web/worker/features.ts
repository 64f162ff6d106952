import { averagedCheckpoint } from "../../artifacts/averages.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { xxh32 } from "../../artifacts/checksum.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { Tensor } from "../../graph-builder/tensor.ts";
import type { InferenceDevice } from "../../runtime/device/inference-device.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import { Classifier } from "../../runtime/inference/classifier.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  checkpointClasses,
  checkpointSettings,
  imageShape,
  imageShapeOf,
  inferenceModel,
  networkTitle,
} from "../../shakenet/index.ts";
import type { FeatureNetworkInfo } from "../calls/own.ts";

/** The last layer of a network: weights float [classes, features] and biases float [classes]. */
export interface LastLayer {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

const WEIGHT = "fc.weight";
const BIAS = "fc.bias";

/** A trained network without its last layer. */
export class FeatureNetwork {
  readonly info: FeatureNetworkInfo;
  readonly #settings: ArtifactSettings;
  readonly #checkpoint: Checkpoint;
  readonly #classifier: Classifier;

  private constructor(
    info: FeatureNetworkInfo,
    settings: ArtifactSettings,
    checkpoint: Checkpoint,
    classifier: Classifier,
  ) {
    this.info = info;
    this.#settings = settings;
    this.#checkpoint = checkpoint;
    this.#classifier = classifier;
  }

  /**
   * Opens the network of a checkpoint. Its last layer becomes the identity, so its outputs are the features.
   * Throws UserError where it is damaged or takes other pictures than 3 x 32 x 32.
   */
  static async open(bytes: Uint8Array, device: InferenceDevice, where: string): Promise<FeatureNetwork> {
    const checkpoint = averagedCheckpoint(decodeCheckpoint(bytes, where));
    const settings = withoutScale(checkpointSettings(checkpoint, where));
    const shape = imageShapeOf(settings);
    if (shape.join() !== imageShape.join())
      throw new UserError(`${where} takes pictures of ${shape.join(" x ")}, not ${imageShape.join(" x ")}.`, {
        code: "model-unsupported",
      });
    const features = Number(tensorIn(checkpoint, WEIGHT).dims[1]);
    const whole = { ...settings, classes: features };
    const model = inferenceModel(whole, withLayer(checkpoint, identity(features)));
    const { data } = checkpointClasses(checkpoint, where);
    const digest = xxh32(bytes).toString(16);
    const info = { title: networkTitle(settings), data, features, digest };
    return new FeatureNetwork(info, settings, checkpoint, await Classifier.open(model, device, where));
  }

  /** The features of pictures uint8 [count, 3, 32, 32], float [count, features]. */
  async embed(images: Uint8Array): Promise<Float32Array> {
    return floatData(await this.#classifier.logits(images));
  }

  /**
   * The checkpoint of a network with these features and a last layer for other classes. A training can go on
   * from it.
   */
  withLastLayer(layer: LastLayer, classNames: readonly string[], steps: number): Uint8Array {
    const settings = { ...this.#settings, classes: classNames.length };
    const fresh = decodeCheckpoint(
      buildTrainingArtifacts(settings, { pictures: { classNames, background: whiteBackground } }).checkpoint,
    );
    const from = withLayer(this.#checkpoint, layer);
    const copied = (own: ReadonlyMap<string, Tensor>) =>
      new Map([...own.keys()].map((name) => [name, tensorIn(from, name)]));
    return encodeCheckpoint({
      ...fresh,
      trainable: copied(fresh.trainable),
      frozen: copied(fresh.frozen),
      properties: new Map([...fresh.properties, ["step", BigInt(steps)]]),
    });
  }

  release(): Promise<void> {
    return this.#classifier.release();
  }
}

/** The page lays transparent pictures on white. */
export const whiteBackground = [255, 255, 255] as const;

/**
 * The settings of a network whose logits are not scaled, with an update of its own: a last layer learns
 * without the scale.
 */
function withoutScale({ outputScale: _, ...settings }: ArtifactSettings): ArtifactSettings {
  return { ...settings, target: "ort-training", fused: false };
}

function identity(features: number): LastLayer {
  const weight = new Float32Array(features * features);
  for (let i = 0; i < features; i++) weight[i * (features + 1)] = 1;
  return {
    weight: new Tensor("float", [features, features], weight),
    bias: new Tensor("float", [features], new Float32Array(features)),
  };
}

function withLayer(checkpoint: Checkpoint, { weight, bias }: LastLayer): Checkpoint {
  const trainable = new Map([...checkpoint.trainable, [WEIGHT, weight], [BIAS, bias]]);
  return { ...checkpoint, trainable };
}

function tensorIn({ trainable, frozen }: Checkpoint, name: string): Tensor {
  const tensor = trainable.get(name) ?? frozen.get(name);
  if (tensor) return tensor;
  throw new UserError(`The checkpoint has no ${name}.`, { code: "artifacts-mismatch" });
}
