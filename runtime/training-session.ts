import type { InferenceSession, Tensor } from "onnxruntime-common";
import { type Checkpoint, decodeCheckpoint } from "../artifacts/checkpoint.ts";
import {
  createModel,
  decodeModel,
  encodeModel,
  type Graph,
  lowerGraph,
  type Model,
  momentCounts,
  momentNames,
  nextName,
  optimizerGraph,
  stockOptimizerRule,
  Tensor as TensorProto,
  UserError,
  withExplicitState,
} from "../graph-builder/index.ts";
import type { Device } from "./devices.ts";

/** The bytes of ONNX Runtime training artifacts; without an eval or optimizer model those steps cannot be run. */
export interface TrainingSources {
  readonly checkpointState: Uint8Array;
  readonly trainModel: Uint8Array;
  readonly evalModel?: Uint8Array | undefined;
  readonly optimizerModel?: Uint8Array | undefined;
}

/** Tensors by the name of the graph's input or output. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

const RESET = "lazy_reset_grad";

/**
 * Trains ONNX Runtime training artifacts on any execution provider: every training operator is lowered to ordinary ones when
 * the session opens. Parameters, running statistics, gradients and momenta stay in the session between steps.
 * Calls must not overlap.
 */
export class TrainingSession {
  readonly #device: Device;
  readonly #train: InferenceSession;
  readonly #evaluate: InferenceSession | undefined;
  readonly #optimize: InferenceSession | undefined;
  readonly #checkpoint: Checkpoint;
  /** Everything that lives from step to step, by the name under which the graphs read it. */
  readonly #state: Map<string, Tensor>;
  #resetGradients = true;
  #learningRate: number;
  #steps: number;

  private constructor(
    device: Device,
    checkpoint: Checkpoint,
    sessions: {
      train: InferenceSession;
      evaluate: InferenceSession | undefined;
      optimize: InferenceSession | undefined;
    },
  ) {
    this.#device = device;
    this.#checkpoint = checkpoint;
    this.#train = sessions.train;
    this.#evaluate = sessions.evaluate;
    this.#optimize = sessions.optimize;
    this.#learningRate = checkpoint.optimizer?.initialLearningRate ?? 0.001;
    this.#steps = checkpoint.optimizer?.step ?? 0;
    this.#state = this.#initialState();
  }

  /**
   * Opens artifacts on a device. Throws UserError where a file is damaged, where an operator is not covered (naming its node),
   * or where the device cannot run the graph.
   */
  static async create(sources: TrainingSources, device: Device): Promise<TrainingSession> {
    const checkpoint = decodeCheckpoint(sources.checkpointState, "checkpoint");
    const open = (model: Uint8Array | undefined, name: string, prepare: (graph: Graph) => Graph) =>
      model && openSession(decodeModel(model, name), prepare, device);
    const expand = (graph: Graph) => expandOptimizer(graph, checkpoint);
    const train = await openSession(
      decodeModel(sources.trainModel, "training_model.onnx"),
      (graph) => graph,
      device,
    );
    const evaluate = await open(sources.evalModel, "eval_model.onnx", (graph) => graph);
    const optimize = await open(sources.optimizerModel, "optimizer_model.onnx", expand);
    return new TrainingSession(device, checkpoint, { train, evaluate, optimize });
  }

  /** The rate of the next optimizer step. */
  get learningRate(): number {
    return this.#learningRate;
  }

  set learningRate(rate: number) {
    this.#learningRate = rate;
  }

  /** The inputs that runTrainStep wants. */
  get trainingInputNames(): readonly string[] {
    return this.#userInputs(this.#train);
  }

  /** The outputs that runTrainStep returns. */
  get trainingOutputNames(): readonly string[] {
    return this.#train.outputNames.filter((name) => this.#stateOf(name) === undefined);
  }

  /** The inputs that runEvalStep wants. */
  get evalInputNames(): readonly string[] {
    return this.#evaluate ? this.#userInputs(this.#evaluate) : [];
  }

  /** The outputs that runEvalStep returns. */
  get evalOutputNames(): readonly string[] {
    return this.#evaluate?.outputNames ?? [];
  }

  /** Runs forward and backward on one batch; gradients are added to those since the last lazyResetGrad. Returns the outputs, such as `loss`. */
  async runTrainStep(feeds: NamedTensors): Promise<NamedTensors> {
    const reset = new this.#device.ort.Tensor("bool", [this.#resetGradients], [1]);
    const results = await this.#run(this.#train, { ...feeds, [RESET]: reset });
    this.#resetGradients = false;
    return results;
  }

  /** Updates the parameters from the gradients at the current learning rate. Throws UserError without an optimizer model. */
  async runOptimizerStep(): Promise<void> {
    if (!this.#optimize) throw new UserError("The session has no optimizer model.");
    const { Tensor } = this.#device.ort;
    await this.#run(this.#optimize, {
      learning_rate: new Tensor("float32", [this.#learningRate], [1]),
      step: new Tensor("int64", [BigInt(this.#steps + 1)], [1]),
    });
    this.#steps += 1;
  }

  /** Makes the next train step start its gradients anew. */
  lazyResetGrad(): void {
    this.#resetGradients = true;
  }

  /** Runs the evaluation model on one batch. Throws UserError without one. */
  async runEvalStep(feeds: NamedTensors): Promise<NamedTensors> {
    if (!this.#evaluate) throw new UserError("The session has no eval model.");
    return this.#run(this.#evaluate, feeds);
  }

  /** The state as a checkpoint, its tensors shared with the session until the next step; properties are those it was opened with. */
  checkpoint(): Checkpoint {
    const { trainable, frozen, optimizer, properties } = this.#checkpoint;
    const current = (names: Iterable<string>) =>
      new Map([...names].map((name) => [name, this.#tensorOf(name)]));
    const momenta = new Map(
      [...(optimizer?.momenta ?? [])].map(([parameter, moments]): [string, TensorProto[]] => {
        const names = this.#momentNames(parameter);
        return [parameter, moments.map((moment, i) => (names[i] ? this.#tensorOf(names[i]) : moment))];
      }),
    );
    return {
      trainable: current(trainable.keys()),
      frozen: current(frozen.keys()),
      optimizer: { step: this.#steps, initialLearningRate: optimizer?.initialLearningRate ?? 0.001, momenta },
      properties: new Map(properties),
    };
  }

  /** Frees the sessions. */
  async release(): Promise<void> {
    for (const session of [this.#train, this.#evaluate, this.#optimize]) await session?.release();
    this.#state.clear();
  }

  async #run(session: InferenceSession, given: NamedTensors): Promise<NamedTensors> {
    const feeds: Record<string, Tensor> = {};
    for (const name of session.inputNames) {
      const tensor = this.#state.get(name) ?? given[name];
      if (!tensor) throw new UserError(`The input ${name} is missing.`);
      feeds[name] = tensor;
    }
    const results: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(await session.run(feeds))) {
      const state = this.#stateOf(name);
      if (state === undefined) results[name] = tensor;
      else this.#replace(state, tensor);
    }
    return results;
  }

  /** The state that an output is the next value of. */
  #stateOf(output: string): string | undefined {
    if (this.#state.has(output)) return output;
    const name = output.endsWith("_next") ? output.slice(0, -"_next".length) : undefined;
    return name !== undefined && this.#state.has(name) ? name : undefined;
  }

  /** Gradients have two names: the training model's accumulation buffer, and the optimizer's input. */
  #replace(name: string, tensor: Tensor): void {
    this.#state.set(name, tensor);
    const gradient = name.replace(/\.accumulation\.buffer$/, "");
    if (gradient !== name) this.#state.set(gradient, tensor);
  }

  #userInputs(session: InferenceSession): readonly string[] {
    return session.inputNames.filter((name) => !this.#state.has(name) && name !== RESET);
  }

  #initialState(): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    const { Tensor } = this.#device.ort;
    const put = (name: string, { dims, data }: TensorProto) =>
      state.set(name, new Tensor("float32", (data as Float32Array<ArrayBuffer>).slice(), [...dims]));
    const { trainable, frozen, optimizer } = this.#checkpoint;
    for (const [name, tensor] of [...trainable, ...frozen]) put(name, tensor);
    const outputs = new Set(this.#train.outputNames);
    for (const [name, { dims, data }] of trainable) {
      const zeros = new Tensor("float32", new Float32Array(data.length), [...dims]);
      const buffer = `${name}_grad.accumulation.buffer`;
      if (outputs.has(nextName(buffer))) state.set(buffer, zeros);
      state.set(`${name}_grad`, zeros);
      for (const [i, moment] of this.#momentNames(name).entries()) {
        const saved = optimizer?.momenta.get(name)?.[i];
        if (saved) put(moment, saved);
        else state.set(moment, new Tensor("float32", new Float32Array(data.length), [...dims]));
      }
    }
    return state;
  }

  /** The moments that the optimizer model keeps for a parameter. */
  #momentNames(parameter: string): string[] {
    const inputs = new Set(this.#optimize?.inputNames);
    const counts = Object.values(momentCounts).sort((a, b) => b - a);
    const count = counts.find((n) => momentNames(parameter, n).every((name) => inputs.has(name))) ?? 0;
    return momentNames(parameter, count);
  }

  #tensorOf(name: string): TensorProto {
    const tensor = this.#state.get(name);
    if (!tensor) throw new Error(`the session keeps no ${name}`);
    return new TensorProto("float", tensor.dims, tensor.data as Float32Array<ArrayBuffer>);
  }
}

/** Prepares a model for the device and opens it. */
async function openSession(
  model: Model,
  prepare: (graph: Graph) => Graph,
  device: Device,
): Promise<InferenceSession> {
  const graph = lowerGraph(withExplicitState(prepare(model.graph)), device.lowering);
  try {
    const bytes = encodeModel(createModel(graph));
    return await device.ort.InferenceSession.create(bytes, device.sessionOptions);
  } catch (error) {
    // ONNX Runtime puts a place in its sources in front of some sentences
    const [reason = ""] = (error as Error).message.replace(/^\/\S+:\d+ .* was false\. /, "").split("\n", 1);
    throw new UserError(`The device ${device.name} cannot run the model (${reason}); ${device.advice}.`, {
      cause: error,
    });
  }
}

/** ONNX Runtime's stock optimizer model, which takes sequences, as one update a parameter; another model as it is. */
function expandOptimizer(graph: Graph, { trainable }: Checkpoint): Graph {
  const rule = stockOptimizerRule(graph);
  const parameters = [...trainable].map(([name, { dims }]) => ({ name, shape: dims }));
  return rule ? optimizerGraph(parameters, rule) : graph;
}
