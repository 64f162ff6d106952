import { Tensor } from "onnxruntime-common";
import { type AveragedState, joinAverages, splitAverages } from "../../../artifacts/averages.ts";
import { type Checkpoint, decodeCheckpoint } from "../../../artifacts/checkpoint.ts";
import { expectRate } from "../../../artifacts/learning-rate.ts";
import { at } from "../../../graph-builder/at.ts";
import {
  type BoundGraph,
  type ControlRole,
  decodeModel,
  explicitState,
  isControl,
  Tensor as TensorProto,
  UserError,
} from "../../../graph-builder/index.ts";
import { ownEntry } from "../../../graph-builder/own-entry.ts";
import { floatData } from "../../device/tensors.ts";
import type { Controls } from "../../session/bound-session.ts";
import { CallGuard } from "../../session/call-guard.ts";
import { checkFeeds, type GraphInput, graphInputs } from "../../session/feeds.ts";
import { bindDecoded } from "../../session/lowered-models.ts";
import { RandomDraws } from "../../session/random-draws.ts";
import { expectBuffer, expectNames, missingGradients, missingModel } from "../../session/refusals.ts";
import {
  readSources,
  type TrainingSessionCreateOptions,
  type TrainingSources,
} from "../../session/sources.ts";
import type { Trainer } from "../../session/trainer.ts";
import type { NamedTensors } from "../../session/training-session.ts";
import {
  type AverageStep,
  averagedNames,
  expectAverageStep,
  WeightAverages,
} from "../../session/weight-averages.ts";
import { expectThreads } from "../threads.ts";
import { type Handles, type ModelNames, modelNames, openHandles } from "./handles.ts";
import { type StockOptimizer, stockOptimizer } from "./stock-optimizer.ts";
import { readTensor, withTensors } from "./tensor-transfer.ts";
import { WasmModule } from "./wasm-module.ts";

/** The learning rate of ONNX Runtime's stock optimizers in WebAssembly, which ignores the checkpoint's. */
const STOCK_RATE = 0.001;

/** Facts of the artifacts that ONNX Runtime's interface does not return. */
interface Description extends AveragedState {
  readonly training: BoundGraph;
  /** The stock optimizer; undefined where there is no optimizer model. */
  readonly optimizer: StockOptimizer | undefined;
  readonly hasEvalModel: boolean;
}

/**
 * Trains ONNX Runtime training artifacts with ONNX Runtime 1.19.2's own TrainingSession, in WebAssembly: the
 * interface of our TrainingSession over the original kernels. Models run as they are, so their optimizer must
 * be a stock one or fused into the training model. Calls that overlap are refused; a step computes on the
 * calling thread, after a turn of the event loop.
 */
export class OrtTrainingSession implements Trainer {
  readonly #wasm: WasmModule;
  readonly #handles: Handles;
  readonly #description: Description;
  readonly #train: ModelNames;
  readonly #evaluate: ModelNames;
  /** The outputs that only report the update of a state. */
  readonly #flags: ReadonlySet<string>;
  /** The inputs that the session feeds itself, by role. */
  readonly #controls: ReadonlyMap<ControlRole, string>;
  readonly #draws: RandomDraws;
  /** The inputs of the training model. */
  readonly #inputs: ReadonlyMap<string, GraphInput>;
  readonly #averages: WeightAverages;
  readonly #guard = new CallGuard();
  #learningRate: number;
  #steps: number;
  #hasStepped = false;
  #hasGradients = false;

  private constructor(wasm: WasmModule, handles: Handles, description: Description) {
    this.#wasm = wasm;
    this.#handles = handles;
    this.#description = description;
    const { checkpoint, averages, optimizer, training, hasEvalModel } = description;
    this.#averages = new WeightAverages(averages);
    this.#train = modelNames(wasm, handles.session, false);
    this.#evaluate = hasEvalModel ? modelNames(wasm, handles.session, true) : { inputs: [], outputs: [] };
    const visible = new Set(explicitState.run(training.graph).outputs.map(({ name }) => name));
    this.#flags = new Set(this.#train.outputs.filter((name) => !visible.has(name)));
    const controls = training.bindings.filter(isControl).filter(({ role }) => role !== "reset-gradients");
    this.#controls = new Map(controls.map(({ role, input }) => [role, input]));
    this.#draws = new RandomDraws(checkpoint.properties, training.bindings);
    this.#inputs = new Map(graphInputs(training.graph).map((input) => [input.name, input]));
    this.#learningRate = optimizer ? STOCK_RATE : (checkpoint.optimizer?.initialLearningRate ?? STOCK_RATE);
    this.#steps = checkpoint.optimizer?.step ?? 0;
  }

  /**
   * Opens artifacts. Throws UserError where the optional package is not installed, where a file is damaged or
   * its optimizer is not ONNX Runtime's, and with ONNX Runtime's own sentence where it refuses a model.
   */
  static async create(
    sources: TrainingSources | TrainingSessionCreateOptions,
    { threads = 1 }: { readonly threads?: number | undefined } = {},
  ): Promise<OrtTrainingSession> {
    expectThreads(threads);
    const { checkpoint, trainingModel, evalModel, optimizerModel } = await readSources(sources);
    const decoded = decodeCheckpoint(checkpoint);
    const where = "training_model.onnx";
    const description = {
      ...splitAverages(decoded),
      training: bindDecoded(decodeModel(trainingModel, where), "training", decoded, where),
      optimizer: optimizerModel && stockOptimizer(optimizerModel),
      hasEvalModel: evalModel !== undefined,
    };
    const wasm = await WasmModule.load(threads);
    const handles = openHandles(wasm, checkpoint, [trainingModel, evalModel, optimizerModel]);
    return new OrtTrainingSession(wasm, handles, description);
  }

  /** The rate of the next step; at first the checkpoint's initial one, or 0.001. */
  get learningRate(): number {
    return this.#learningRate;
  }

  /**
   * Throws UserError for what is no number from 0, and for a rate other than 0.001 where there is an
   * optimizer model, because this build cannot change the rate of one.
   */
  set learningRate(rate: number) {
    expectRate(rate);
    if (this.#description.optimizer && Math.fround(rate) !== Math.fround(STOCK_RATE)) {
      throw new UserError(
        `ONNX Runtime's WebAssembly runs an optimizer model at the rate ${STOCK_RATE} alone, not ${rate}: build the artifacts with --fused.`,
        { code: "learning-rate-fixed", details: { rate: STOCK_RATE, given: rate } },
      );
    }
    this.#learningRate = rate;
  }

  /** The inputs that runTrainStep wants. */
  get trainingInputNames(): readonly string[] {
    const own = new Set(this.#controls.values());
    return this.#train.inputs.filter((name) => !own.has(name));
  }

  /** The outputs that runTrainStep returns. */
  get trainingOutputNames(): readonly string[] {
    return this.#train.outputs.filter((name) => !this.#flags.has(name));
  }

  /** The inputs that runEvalStep wants. */
  get evalInputNames(): readonly string[] {
    return this.#evaluate.inputs;
  }

  /** The outputs that runEvalStep returns. */
  get evalOutputNames(): readonly string[] {
    return this.#evaluate.outputs;
  }

  /**
   * Runs forward and backward on one batch, and the update too where the training model is fused; gradients
   * are added to those since the last lazyResetGrad. Returns the outputs, such as `loss`, or those named by
   * `fetches`.
   * Throws UserError for a missing input, for one of another type or shape, and for an unknown output.
   */
  async runTrainStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    return this.#guard.run("runTrainStep", async () => {
      if (fetches !== undefined) expectNames("fetches", fetches, this.trainingOutputNames);
      const given = { ...feeds, ...this.#controlFeeds() };
      const results = await this.#run("_OrtTrainingRunTrainStep", this.#train, given);
      this.#hasGradients = true;
      this.#draws.step += 1n;
      return fetched(results, fetches);
    });
  }

  /**
   * Updates the parameters from the gradients; a fused training model has already updated them, so only the
   * step is counted. Throws UserError where the artifacts are not fused and have no optimizer model, and
   * before a train step has made gradients.
   */
  async runOptimizerStep(): Promise<void> {
    this.#guard.expectIdle("runOptimizerStep");
    const { optimizer } = this.#description;
    if (!optimizer && !this.#controls.has("learning-rate")) throw missingModel("optimizer");
    if (!this.#hasGradients) throw missingGradients();
    const { session, runOptions } = this.#handles;
    if (optimizer) this.#wasm.check("_OrtTrainingOptimizerStep", session, runOptions);
    this.#steps += 1;
    this.#hasStepped = true;
  }

  /** Makes the next train step start its gradients anew. */
  lazyResetGrad(): void {
    this.#guard.expectIdle("lazyResetGrad");
    this.#hasGradients = false;
    this.#wasm.check("_OrtTrainingLazyResetGrad", this.#handles.session);
  }

  /**
   * Runs the evaluation model on one batch and returns its outputs, or those named by `fetches`. Throws
   * UserError without one, and as runTrainStep does.
   */
  async runEvalStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    if (!this.#description.hasEvalModel) throw missingModel("eval");
    return this.#guard.run("runEvalStep", async () => {
      if (fetches !== undefined) expectNames("fetches", fetches, this.evalOutputNames);
      return fetched(await this.#run("_OrtTrainingEvalStep", this.#evaluate, feeds), fetches);
    });
  }

  /** The number of values of all parameters. */
  async getParametersSize(trainableOnly = true): Promise<number> {
    this.#guard.expectOpen("getParametersSize");
    return this.#parametersSize(trainableOnly);
  }

  /**
   * All parameters one after the other, in the order of the training model's inputs. Throws UserError where
   * one is not float.
   */
  async getContiguousParameters(trainableOnly = true): Promise<Tensor> {
    this.#guard.expectOpen("getContiguousParameters");
    return this.#contiguousParameters(trainableOnly);
  }

  /**
   * Sets all parameters from the bytes of a float32 vector as getContiguousParameters returns it. Throws
   * UserError for another length.
   */
  async loadParametersBuffer(buffer: Uint8Array, trainableOnly = true): Promise<void> {
    this.#guard.expectIdle("loadParametersBuffer");
    const size = this.#parametersSize(trainableOnly);
    expectBuffer(buffer, 4 * size);
    const values = new Tensor("float32", new Float32Array(new Uint8Array(buffer).buffer), [size]);
    withTensors(this.#wasm, [values], ([tensor = 0]) =>
      this.#wasm.check(
        "_OrtTrainingCopyParametersFromBuffer",
        this.#handles.session,
        tensor,
        size,
        trainableOnly,
      ),
    );
  }

  /**
   * The state as a checkpoint; its properties are those of the checkpoint that was opened, with the number of
   * the next random draw. The WebAssembly build cannot read the moments of a stock AdamW: after a step the
   * checkpoint holds no optimizer state, and AdamW restarts from zero moments. A fused model keeps its
   * moments. Throws UserError where a parameter is not float.
   */
  checkpoint(): Checkpoint {
    this.#guard.expectOpen("checkpoint");
    const { checkpoint, optimizer: operator } = this.#description;
    const { trainable, frozen, properties, optimizer } = checkpoint;
    const values = Float32Array.from(floatData(this.#contiguousParameters(false)));
    const parameters = this.#parameters(values);
    const update = (tensors: ReadonlyMap<string, TensorProto>) =>
      new Map([...tensors].map(([name, tensor]) => [name, parameters.get(name) ?? tensor]));
    const isLost = this.#hasStepped && operator === "AdamWOptimizer";
    const isKept = !isLost && (optimizer !== undefined || this.#hasStepped);
    const { initialLearningRate = STOCK_RATE, momenta = new Map() } = optimizer ?? {};
    const current = {
      trainable: update(trainable),
      frozen: update(frozen),
      properties: new Map([...properties, ...this.#draws.properties()]),
      ...(isKept ? { optimizer: { step: this.#steps, initialLearningRate, momenta } } : {}),
    };
    return joinAverages({ checkpoint: current, averages: this.#averages.tensors });
  }

  /**
   * Lets the running averages of the training model's parameters and statistics follow them; the checkpoint
   * holds the averages from then on. Throws UserError where a parameter is not float.
   */
  async averageWeights(step: AverageStep): Promise<void> {
    this.#guard.expectIdle("averageWeights");
    expectAverageStep(step);
    const { bindings } = this.#description.training;
    const values = Float32Array.from(floatData(this.#contiguousParameters(false)));
    const parameters = this.#parameters(values);
    const averaged = averagedNames(bindings).flatMap((name): [string, TensorProto][] => {
      const tensor = parameters.get(name);
      return tensor ? [[name, tensor]] : [];
    });
    this.#averages.follow(averaged, step);
    if (step.pull) await this.loadParametersBuffer(new Uint8Array(values.buffer), false);
  }

  /**
   * Frees the session after the call under way has ended; the module stays for the next one. Throws UserError
   * where it was freed before.
   */
  async release(): Promise<void> {
    await this.#guard.close();
    const { session, checkpoint, runOptions } = this.#handles;
    this.#wasm.call("_OrtTrainingReleaseSession", session);
    this.#wasm.call("_OrtTrainingReleaseCheckpoint", checkpoint);
    this.#wasm.call("_OrtReleaseRunOptions", runOptions);
  }

  async #run(
    step: "_OrtTrainingRunTrainStep" | "_OrtTrainingEvalStep",
    { inputs, outputs }: ModelNames,
    feeds: NamedTensors,
  ): Promise<NamedTensors> {
    checkFeeds(
      inputs.map((name) => this.#inputs.get(name) ?? { name, type: undefined }),
      feeds,
    );
    const tensors = inputs.flatMap((name) => ownEntry(feeds, name) ?? []);
    // the event loop handles signals between two steps
    await new Promise((resolve) => setImmediate(resolve));
    const wasm = this.#wasm;
    const { session, runOptions } = this.#handles;
    return withTensors(wasm, tensors, (handles) => {
      const given = wasm.storeWords(handles);
      const taken = wasm.storeWords(outputs.map(() => 0));
      try {
        wasm.check(step, session, given, handles.length, taken, outputs.length, runOptions);
        const results = wasm.wordsAt(taken, outputs.length);
        const named = outputs.map((name, i) => [name, readTensor(wasm, at(results, i))] as const);
        for (const result of results) wasm.call("_OrtReleaseTensor", result);
        return Object.fromEntries(named.filter(([name]) => !this.#flags.has(name)));
      } finally {
        wasm.free(given);
        wasm.free(taken);
      }
    });
  }

  #controlFeeds(): NamedTensors {
    const values: Controls = {
      "learning-rate": new Tensor("float32", [this.#learningRate], [1]),
      step: new Tensor("int64", [BigInt(this.#steps + 1)], [1]),
      ...this.#draws.controls({ Tensor }),
    };
    return Object.fromEntries(
      [...this.#controls].flatMap(([role, input]) => {
        const tensor = values[role];
        return tensor ? [[input, tensor]] : [];
      }),
    );
  }

  #parametersSize(trainableOnly: boolean): number {
    const [size = 0] = this.#wasm.words(1, (place) =>
      this.#wasm.check("_OrtTrainingGetParametersSize", this.#handles.session, place(0), trainableOnly),
    );
    return size;
  }

  #contiguousParameters(trainableOnly: boolean): Tensor {
    const wasm = this.#wasm;
    const { session } = this.#handles;
    const size = this.#parametersSize(trainableOnly);
    return withTensors(wasm, [new Tensor("float32", new Float32Array(size), [size])], ([tensor = 0]) => {
      wasm.check("_OrtTrainingCopyParametersToBuffer", session, tensor, size, trainableOnly);
      return readTensor(wasm, tensor);
    });
  }

  /** The checkpoint's tensors that the training model reads, as views of all their values. */
  #parameters(values: Float32Array<ArrayBuffer>): Map<string, TensorProto> {
    const { checkpoint, training } = this.#description;
    const parameters = new Map<string, TensorProto>();
    let offset = 0;
    for (const { name = "" } of training.graph.inputs) {
      const tensor = checkpoint.trainable.get(name) ?? checkpoint.frozen.get(name);
      if (!tensor) continue;
      const end = offset + tensor.data.length;
      parameters.set(name, new TensorProto("float", tensor.dims, values.subarray(offset, end)));
      offset = end;
    }
    return parameters;
  }
}

/** The results that are asked for; all of them where nothing is. */
function fetched(results: NamedTensors, fetches: readonly string[] | undefined): NamedTensors {
  if (fetches === undefined) return results;
  return Object.fromEntries(Object.entries(results).filter(([name]) => fetches.includes(name)));
}
