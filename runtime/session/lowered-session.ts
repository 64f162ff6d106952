import type { Tensor } from "onnxruntime-common";
import { type Checkpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { expectRate } from "../../artifacts/learning-rate.ts";
import { Tensor as TensorProto } from "../../graph-builder/tensor.ts";
import type { RuntimeDevice } from "../device/device.ts";
import { floatData, fromOrtTensor, toOrtTensor } from "../device/tensors.ts";
import type { Controls } from "./bound-session.ts";
import { CallGuard } from "./call-guard.ts";
import type { LoweredModels } from "./lowered-models.ts";
import { OpenedModels } from "./opened-models.ts";
import {
  expectBuffer,
  expectFloat32,
  expectName,
  expectSameShape,
  expectStep,
  expectTensor,
  missingGradients,
  missingModel,
} from "./refusals.ts";
import type { Slot } from "./slot.ts";
import type { NamedTensors } from "./training-session.ts";
import { TrainingState } from "./training-state.ts";
import { type AverageStep, expectAverageStep } from "./weight-averages.ts";

/**
 * What a session is made of.
 * @internal
 */
export interface SessionParts {
  readonly device: RuntimeDevice;
  readonly state: TrainingState;
  readonly models: OpenedModels;
  readonly learningRate: number;
}

/**
 * Trains models that were lowered for a device before, on any execution provider. Parameters, running
 * statistics, gradients and momenta stay in the session between steps. Calls that overlap are refused, and so
 * is every call after the release.
 */
export class LoweredSession {
  readonly #device: RuntimeDevice;
  readonly #sessions: OpenedModels;
  readonly #state: TrainingState;
  readonly #guard = new CallGuard();
  #resetGradients = true;
  /** Whether the next optimizer step has gradients to read. */
  #hasGradients = false;
  #learningRate: number;

  /** @internal */
  protected constructor({ device, state, models, learningRate }: SessionParts) {
    this.#device = device;
    this.#state = state;
    this.#sessions = models;
    this.#learningRate = learningRate;
  }

  /** Opens lowered models. Throws UserError where the device cannot run one. */
  static async open(
    models: LoweredModels,
    checkpoint: Checkpoint,
    device: RuntimeDevice,
  ): Promise<LoweredSession> {
    return new LoweredSession(await LoweredSession.openParts(models, checkpoint, device));
  }

  /**
   * What a session of lowered models is made of. Throws UserError as open does.
   * @internal
   */
  protected static async openParts(
    models: LoweredModels,
    checkpoint: Checkpoint,
    device: RuntimeDevice,
  ): Promise<SessionParts> {
    const use = {
      trainingInputs: models.train.inputs.map(({ name }) => name),
      training: models.train.bindings,
      optimizer: models.optimize?.bindings,
    };
    const state = new TrainingState(checkpoint, use, device);
    const learningRate = checkpoint.optimizer?.initialLearningRate ?? 0.001;
    return { device, state, models: await OpenedModels.open(models, device, state), learningRate };
  }

  /** The rate of the next optimizer step; at first the checkpoint's initial one, or 0.001. */
  get learningRate(): number {
    return this.#learningRate;
  }

  /** Throws UserError for what is no number from 0. */
  set learningRate(rate: number) {
    expectRate(rate);
    this.#learningRate = rate;
  }

  /**
   * The number of the next random draw, such as the masks of dropouts: every runTrainStep takes the next one,
   * and the checkpoint keeps it.
   */
  get randomStep(): bigint {
    return this.#state.draws.step;
  }

  /**
   * A step with a number draws the same random numbers whenever it runs. Throws UserError for what is no
   * bigint from 0 below 2^63.
   */
  set randomStep(step: bigint) {
    expectStep(step);
    this.#state.draws.step = step;
  }

  /** The inputs that runTrainStep wants. */
  get trainingInputNames(): readonly string[] {
    return this.#sessions.train.inputNames;
  }

  /** The outputs that runTrainStep returns. */
  get trainingOutputNames(): readonly string[] {
    return this.#sessions.train.outputNames;
  }

  /** The inputs that runEvalStep wants. */
  get evalInputNames(): readonly string[] {
    return this.#sessions.evaluate?.inputNames ?? [];
  }

  /** The outputs that runEvalStep returns. */
  get evalOutputNames(): readonly string[] {
    return this.#sessions.evaluate?.outputNames ?? [];
  }

  /**
   * Runs the training model on a batch and the optimizer model once, and throws their outputs away. A device
   * that compiles its kernels, such as WebGPU, has then done so before the first step. The parameters,
   * the gradients, the moments and the random numbers stay as they are. Kernels may depend on the sizes of
   * the feeds, so give a batch as the steps will have it. Throws UserError as runTrainStep does.
   */
  async warmUp(feeds: NamedTensors): Promise<void> {
    return this.#guard.run("warmUp", () => this.#sessions.rehearse(feeds, this.#controls()));
  }

  /**
   * Runs forward and backward on one batch, and the update too where the training model is fused; gradients
   * are added to those since the last lazyResetGrad. Returns the outputs, such as `loss`, or those named by
   * `fetches`.
   * Throws UserError for an input that is missing or does not fit, for an unknown output, and where ONNX
   * Runtime fails.
   */
  async runTrainStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    return this.#guard.run("runTrainStep", async () => {
      const results = await this.#sessions.trainingFor(feeds).run(feeds, this.#controls(), fetches);
      this.#resetGradients = false;
      this.#hasGradients = true;
      this.#state.draws.step += 1n;
      return results;
    });
  }

  /**
   * Updates the parameters from the gradients at the current learning rate; a fused training model has
   * already updated them, so only the step is counted. Throws UserError where the artifacts are not fused and
   * have no optimizer model, and before a train step has made gradients.
   */
  async runOptimizerStep(): Promise<void> {
    return this.#guard.run("runOptimizerStep", async () => {
      const { train, optimize } = this.#sessions;
      if (!optimize && !train.takes("learning-rate")) throw missingModel("optimizer");
      if (!this.#hasGradients) throw missingGradients();
      await optimize?.run({}, this.#controls());
      this.#state.steps += 1;
    });
  }

  /** Makes the next train step start its gradients anew. */
  lazyResetGrad(): void {
    this.#guard.expectIdle("lazyResetGrad");
    this.#resetGradients = true;
    this.#hasGradients = false;
  }

  /**
   * Lets the running averages of parameters and statistics follow them, or those that `isAveraged` accepts.
   * The checkpoint holds the averages from then on, and exportInferenceModel exports them. Throws UserError
   * for a decay that is no number from 0 to 1.
   */
  async averageWeights(step: AverageStep, isAveraged?: (name: string) => boolean): Promise<void> {
    expectAverageStep(step);
    return this.#guard.run("averageWeights", () => this.#state.average(step, isAveraged));
  }

  /**
   * Runs the evaluation model on one batch and returns its outputs, or those named by `fetches`. Throws
   * UserError without one, and as runTrainStep does.
   */
  async runEvalStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    return this.#guard.run("runEvalStep", async () => {
      if (!this.#sessions.evaluate) throw missingModel("eval");
      return this.#sessions.evaluate.run(feeds, {}, fetches);
    });
  }

  /**
   * The names of the parameters, in the order of the training model's inputs; with the frozen ones where
   * `trainableOnly` is false.
   */
  parameterNames(trainableOnly = true): readonly string[] {
    return this.#state.parameterNames(trainableOnly);
  }

  /** A copy of a parameter. Throws UserError for an unknown name. */
  async getParameter(name: string): Promise<Tensor> {
    return this.#guard.read("getParameter", async () => this.#copyOf(this.#parameterSlot(name)));
  }

  /**
   * Replaces a parameter by a copy of a tensor. Throws UserError for an unknown name, and for another type or
   * shape.
   */
  setParameter(name: string, tensor: Tensor): void {
    this.#guard.expectIdle("setParameter");
    const slot = this.#parameterSlot(name);
    expectTensor(`setParameter(${name})`, tensor);
    expectSameShape(name, slot.tensor, tensor);
    slot.set(fromOrtTensor(tensor));
  }

  /** A copy of the accumulated gradient of a parameter. Throws UserError for a parameter that has none. */
  async getGradient(parameter: string): Promise<Tensor> {
    return this.#guard.read("getGradient", async () => {
      expectName(parameter, this.parameterNames(), "parameter");
      return this.#copyOf(this.#state.gradient(parameter));
    });
  }

  /**
   * The gradients of the parameters in the order of parameterNames, their data shared with the session until
   * the next train step: the next optimizer step reads the values that the caller writes into them. Throws
   * TypeError where they are in the memory of a device.
   */
  sharedGradients(): readonly Float32Array[] {
    this.#guard.expectIdle("sharedGradients");
    this.#hasGradients = true;
    return this.parameterNames().map((name) => floatData(this.#state.gradient(name).shared()));
  }

  /**
   * The parameters in the order of parameterNames, their data shared with the session until the next
   * optimizer step. Throws TypeError where they are in the memory of a device.
   */
  sharedParameters(): readonly Float32Array[] {
    this.#guard.expectIdle("sharedParameters");
    return this.parameterNames().map((name) => floatData(this.#state.slot(name).shared()));
  }

  /** The number of values of all parameters. */
  async getParametersSize(trainableOnly = true): Promise<number> {
    this.#guard.expectOpen("getParametersSize");
    return sizeOf(this.#parameters(trainableOnly));
  }

  /** All parameters one after the other as a float32 vector. Throws UserError where one has another type. */
  async getContiguousParameters(trainableOnly = true): Promise<Tensor> {
    return this.#guard.read("getContiguousParameters", async () => {
      const buffer = new Float32Array(await this.getParametersSize(trainableOnly));
      let offset = 0;
      for (const slot of this.#parameters(trainableOnly)) {
        const data = floatData(await slot.peek());
        buffer.set(data, offset);
        offset += data.length;
      }
      return new this.#device.ort.Tensor("float32", buffer, [buffer.length]);
    });
  }

  /**
   * Sets all parameters from the bytes of a float32 vector as getContiguousParameters returns it. Throws
   * UserError for another length.
   */
  async loadParametersBuffer(buffer: Uint8Array, trainableOnly = true): Promise<void> {
    // nothing is awaited, so no other call begins before all parameters are set
    this.#guard.expectIdle("loadParametersBuffer");
    const slots = this.#parameters(trainableOnly);
    expectBuffer(buffer, 4 * sizeOf(slots));
    const values = new Float32Array(new Uint8Array(buffer).buffer);
    let offset = 0;
    for (const slot of slots) {
      const { dims, size: length } = slot.tensor;
      slot.set(new TensorProto("float", dims, values.subarray(offset, offset + length)));
      offset += length;
    }
  }

  /**
   * The state as a checkpoint, its tensors shared with the session until the next step; its properties are
   * those of the checkpoint that was opened, with the number of the next random draw.
   */
  async checkpoint(): Promise<Checkpoint> {
    return this.#guard.read("checkpoint", () => this.#state.checkpoint());
  }

  /**
   * The state as the bytes of ONNX Runtime's checkpoint file, with the optimizer's state unless
   * `includeOptimizerState` is false.
   */
  async saveCheckpoint(includeOptimizerState = true): Promise<Uint8Array> {
    const { optimizer, ...checkpoint } = await this.checkpoint();
    return encodeCheckpoint(includeOptimizerState ? { ...checkpoint, optimizer } : checkpoint);
  }

  /** Frees the sessions after the call under way has ended. Throws UserError where they were freed before. */
  async release(): Promise<void> {
    await this.#guard.close();
    // tensors in a device's memory belong to the session that has made them
    this.#state.clear();
    await this.#sessions.release();
  }

  /** Throws UserError after the release. */
  protected expectOpen(call: string): void {
    this.#guard.expectOpen(call);
  }

  #controls(): Controls {
    const { Tensor } = this.#device.ort;
    return {
      "learning-rate": new Tensor("float32", [this.#learningRate], [1]),
      step: new Tensor("int64", [BigInt(this.#state.steps + 1)], [1]),
      "reset-gradients": new Tensor("bool", [this.#resetGradients], [1]),
      ...this.#state.draws.controls(this.#device.ort),
    };
  }

  #parameterSlot(name: string): Slot {
    expectName(name, this.parameterNames(false), "parameter");
    return this.#state.slot(name);
  }

  async #copyOf(slot: Slot): Promise<Tensor> {
    return toOrtTensor(await slot.peek(), this.#device.ort);
  }

  #parameters(trainableOnly: boolean): Slot[] {
    return this.parameterNames(trainableOnly).map((name) => {
      const slot = this.#state.slot(name);
      expectFloat32(name, slot.tensor);
      return slot;
    });
  }
}

/** The number of values of tensors together. */
function sizeOf(slots: readonly Slot[]): number {
  return slots.reduce((size, { tensor }) => size + tensor.size, 0);
}
