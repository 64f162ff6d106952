import type { InferenceSession, Tensor } from "onnxruntime-common";
import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { floatData, toOrtTensor } from "../../runtime/device/tensors.ts";
import {
  blockCount,
  buildTrainingArtifacts,
  checkpointSettings,
  imageShapeOf,
} from "../../shakenet/index.ts";
import type { Examples } from "../calls/model.ts";
import { openDevice } from "./devices.ts";
import type { Model } from "./models.ts";
import { l2Norm } from "./norm.ts";

/** The gradients that the training graph of a network gives the first filters of both branches. */
export class BranchGradients {
  readonly model: Model;
  readonly #session: InferenceSession;
  readonly #weights: Readonly<Record<string, Tensor>>;
  readonly #tensor: typeof Tensor;
  readonly #imageShape: readonly number[];
  /** The gradients of the first filters, branch by branch: [blocks, 2]. */
  readonly #gradients: readonly string[];

  private constructor(
    model: Model,
    session: InferenceSession,
    weights: Readonly<Record<string, Tensor>>,
    tensor: typeof Tensor,
    imageShape: readonly number[],
    gradients: readonly string[],
  ) {
    this.model = model;
    this.#session = session;
    this.#weights = weights;
    this.#tensor = tensor;
    this.#imageShape = imageShape;
    this.#gradients = gradients;
  }

  /**
   * Builds the training graph of the checkpoint's network, in ONNX's standard operators, and opens it on
   * wasm. Throws UserError for a model without a checkpoint.
   */
  static async open(model: Model): Promise<BranchGradients> {
    const { checkpoint: bytes, info } = model;
    if (!bytes)
      throw new UserError(`${info.name} has no checkpoint beside it, which the backward graph needs.`, {
        code: "model-unsupported",
      });
    const checkpoint = decodeCheckpoint(bytes, info.name);
    const settings = { ...checkpointSettings(checkpoint, info.name), ...plain };
    const { ort, sessionOptions } = await openDevice("wasm");
    const { trainingModel } = buildTrainingArtifacts(settings);
    const session = await ort.InferenceSession.create(trainingModel, sessionOptions);
    const tensors = [...checkpoint.trainable, ...checkpoint.frozen];
    const weights = tensors
      .filter(([name]) => session.inputNames.includes(name))
      .map(([name, tensor]) => [name, toOrtTensor(tensor, ort)] as const);
    const perStage = blockCount(settings) / 3;
    const gradients = [1, 2, 3].flatMap((stage) =>
      Array.from({ length: perStage }, (_, block) =>
        [1, 2].map((branch) => `stage${stage}.block${block}.branch${branch}.conv1.weight_grad`),
      ).flat(),
    );
    const own = Object.fromEntries(weights);
    return new BranchGradients(model, session, own, ort.Tensor, imageShapeOf(settings), gradients);
  }

  /** The L2 norms [blocks, 2] for pictures with the same alpha [blocks] and the same beta. */
  async norms({ images, labels }: Examples, alpha: Float32Array, beta: number): Promise<Float32Array> {
    const batch = labels.length;
    const blocks = alpha.length;
    const alphas = Float32Array.from({ length: blocks * batch }, (_, i) => at(alpha, Math.floor(i / batch)));
    const outputs = await this.#session.run(
      {
        ...this.#weights,
        images: new this.#tensor("uint8", images, [batch, ...this.#imageShape]),
        labels: new this.#tensor("int64", BigInt64Array.from(labels, BigInt), [batch]),
        alpha: new this.#tensor("float32", alphas, [blocks, batch]),
        beta: new this.#tensor("float32", new Float32Array(blocks * batch).fill(beta), [blocks, batch]),
      },
      this.#gradients,
    );
    return Float32Array.from(this.#gradients, (name) => {
      const gradient = outputs[name];
      if (!gradient) throw new Error(`the training graph returned no ${name}`);
      return l2Norm(floatData(gradient));
    });
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/** The form of the training graph: gradients as outputs, no update, labels as numbers of classes. */
const plain = {
  target: "standard",
  optimizer: "sgd-nesterov",
  fused: false,
  softLabels: false,
  anySize: false,
} as const;
