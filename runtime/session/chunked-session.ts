import type { InferenceSession, Tensor } from "onnxruntime-common";
import { type AveragedState, joinAverages, splitAverages } from "../../artifacts/averages.ts";
import { type Checkpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { expectRate } from "../../artifacts/learning-rate.ts";
import {
  type BoundGraph,
  createModel,
  encodeChunk,
  type FusedStep,
  fusedStep,
  GOOD_STEPS,
  INITIAL_LOSS_SCALE,
  LOSS_SCALE,
  lowerGraph,
  loweringOf,
  ownStep,
  STEPS,
  type StepPrecision,
  shown,
  stepPrecisions,
  Tensor as TensorProto,
  tensorType,
  UserError,
} from "../../graph-builder/index.ts";
import { nextName } from "../../graph-builder/onnx/packing.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import type { Device } from "../device/device.ts";
import { cannotRun } from "../device/ort-errors.ts";
import { fromOrtTensor, toOrtTensor } from "../device/tensors.ts";
import { stackFeeds } from "../replicas/shares.ts";
import { CallGuard } from "./call-guard.ts";
import { type CompileCache, compiled } from "./compile-cache.ts";
import { checkFeeds, type GraphInput, graphInputs } from "./feeds.ts";
import { type DecodedModels, decodeArtifacts, readArtifacts } from "./lowered-models.ts";
import { RandomDraws } from "./random-draws.ts";
import { expectOpenDevice, failedStep } from "./refusals.ts";
import type { TrainingSessionCreateOptions, TrainingSources } from "./sources.ts";
import type { ChunkTrainer } from "./trainer.ts";
import type { NamedTensors } from "./training-session.ts";
import { type AverageStep, averagedNames, expectAverageStep, WeightAverages } from "./weight-averages.ts";

/** How a session takes several steps in one call. */
export interface ChunkSettings {
  /**
   * The types of a step, float32 where left out. The loss scale of `mixed` is kept in the checkpoint's
   * properties. bfloat16 needs a device that computes in it.
   */
  readonly precision?: StepPrecision | undefined;
  /** The most steps that the training loop takes in one call; 8 where left out. */
  readonly stepsPerCall?: number | undefined;
}

/** The settings of a ChunkedSession. */
export interface ChunkOptions extends ChunkSettings {
  /** Keeps the compiled chunk for the next session of the same artifacts; none where left out. */
  readonly cache?: CompileCache | undefined;
}

/** A chunk of steps as a file for a device. */
export interface ChunkModel {
  readonly bytes: Uint8Array;
  /** The step without its graph, which is in the file. */
  readonly step: Omit<FusedStep, "graph">;
  /** What every call is fed: the step's own inputs with a leading axis `steps`. */
  readonly feeds: readonly GraphInput[];
  /** The parameters and running statistics, of which averages can be kept. */
  readonly averaged: readonly string[];
}

/**
 * Trains artifacts several steps a call: parameters, running statistics and moments cross the boundary
 * between JavaScript and the device once a call and not once a step. Where the artifacts have an optimizer
 * model, all parameters are updated by the same few operators; a fused training model updates each by its
 * own. Calls that overlap are refused, and so is every call after the release.
 */
export class ChunkedSession implements ChunkTrainer {
  readonly stepsPerCall: number;
  readonly #device: Device;
  readonly #session: InferenceSession;
  readonly #model: ChunkModel;
  readonly #checkpoint: Checkpoint;
  readonly #state: Map<string, Tensor>;
  /** The names of states by the outputs that return their next contents. */
  readonly #nextStates: ReadonlyMap<string, string>;
  readonly #averages: WeightAverages;
  readonly #guard = new CallGuard();
  readonly #draws: RandomDraws;
  #steps: number;

  private constructor(
    device: Device,
    session: InferenceSession,
    model: ChunkModel,
    { checkpoint, averages }: AveragedState,
    stepsPerCall: number,
  ) {
    this.#averages = new WeightAverages(averages);
    this.stepsPerCall = stepsPerCall;
    this.#device = device;
    this.#session = session;
    this.#model = model;
    this.#checkpoint = checkpoint;
    this.#steps = checkpoint.optimizer?.step ?? 0;
    this.#draws = new RandomDraws(checkpoint.properties, model.step.controls);
    this.#state = initialState(model.step, checkpoint, device);
    this.#nextStates = nextStates(model.step);
  }

  /**
   * Opens artifacts on a device. Throws UserError where a file is damaged, where nothing updates the
   * parameters or the optimizer model cannot update all of them together, and where the device cannot run the
   * graph.
   */
  static async create(
    sources: TrainingSources | TrainingSessionCreateOptions,
    device: Device,
    { cache, precision, stepsPerCall = 8 }: ChunkOptions = {},
  ): Promise<ChunkedSession> {
    expectOpenDevice(device);
    expectChunks(stepsPerCall, precision);
    const artifacts = await readArtifacts(sources);
    const model = await compiled(artifacts, device, { cache, kind: "chunk", settings: { precision } }, () =>
      chunkModel(decodeArtifacts(artifacts), device, { precision }),
    );
    const { ort, sessionOptions } = device;
    const session = await ort.InferenceSession.create(model.bytes, sessionOptions).catch((error: unknown) => {
      throw cannotRun(device, error);
    });
    return new ChunkedSession(device, session, model, splitAverages(artifacts.checkpoint), stepsPerCall);
  }

  /** Updates made since the training began. */
  get steps(): number {
    return this.#steps;
  }

  /** The factor of the gradients in the next step; undefined where there is none. */
  get lossScale(): number | undefined {
    const scale = this.#state.get(LOSS_SCALE);
    return scale && Number(scale.data[0]);
  }

  /** The inputs that runSteps wants, all with a leading axis `steps`. */
  get inputNames(): readonly string[] {
    const controls = new Set(this.#model.step.controls.map(({ input }) => input));
    return this.#model.feeds.map(({ name }) => name).filter((name) => !controls.has(name));
  }

  /** The feeds of several steps as those of one call: each tensor with a new first axis `steps`. */
  stack(steps: readonly NamedTensors[]): NamedTensors {
    return stackFeeds(steps, this.#device.ort);
  }

  /**
   * Takes as many steps as the feeds have along their first axis, each at its learning rate (float32
   * [steps]). Returns the outputs, such as `loss`, one value a step. Throws UserError for a missing input,
   * for another type or shape, for a label that is no class, and for a rate that is no number.
   */
  async runSteps(feeds: NamedTensors, learningRates: Float32Array): Promise<NamedTensors> {
    return this.#guard.run("runSteps", () => this.#runSteps(feeds, learningRates));
  }

  async #runSteps(feeds: NamedTensors, learningRates: Float32Array): Promise<NamedTensors> {
    expectRates(learningRates);
    const { Tensor } = this.#device.ort;
    const count = learningRates.length;
    const given: Record<string, Tensor> = { ...feeds };
    const perStep = (first: bigint, distance: bigint) =>
      new Tensor(
        "int64",
        BigInt64Array.from({ length: count }, (_, i) => first + BigInt(i) * distance),
        [count, 1],
      );
    for (const { role, input } of this.#model.step.controls) {
      if (input === undefined) continue;
      if (role === "learning-rate") given[input] = new Tensor("float32", learningRates, [count, 1]);
      if (role === "step") given[input] = perStep(BigInt(this.#steps + 1), 1n);
      if (role === "random-seed") given[input] = perStep(this.#draws.seed, 0n);
      if (role === "random-step") given[input] = perStep(this.#draws.step, 1n);
    }
    checkFeeds(this.#model.feeds, given);
    const all: Record<string, Tensor> = {};
    for (const name of this.#session.inputNames) {
      const tensor = this.#state.get(name) ?? ownEntry(given, name);
      if (tensor) all[name] = tensor;
    }
    const results: Record<string, Tensor> = {};
    const outputs = await this.#session.run(all).catch((error: unknown) => {
      throw failedStep(error);
    });
    for (const [name, tensor] of Object.entries(outputs)) {
      const state = this.#nextStates.get(name);
      if (state === undefined) results[name] = tensor;
      else this.#state.set(state, tensor);
    }
    this.#steps += count;
    this.#draws.step += BigInt(count);
    return results;
  }

  /**
   * Lets the running averages of parameters and statistics follow them; the checkpoint holds the averages
   * from then on.
   */
  averageWeights(step: AverageStep): void {
    this.#guard.expectIdle("averageWeights");
    expectAverageStep(step);
    const averaged = this.#model.averaged.flatMap((name): [string, TensorProto][] => {
      const tensor = this.#tensor(name);
      return tensor ? [[name, tensor]] : [];
    });
    this.#averages.follow(averaged, step);
  }

  /** The state as a checkpoint; its tensors share their data with the session until the next call. */
  async checkpoint(): Promise<Checkpoint> {
    this.#guard.expectOpen("checkpoint");
    const { trainable, frozen, optimizer, properties } = this.#checkpoint;
    const current = (tensors: ReadonlyMap<string, TensorProto>) =>
      new Map([...tensors].map(([name, tensor]) => [name, this.#tensor(name) ?? tensor]));
    const momenta = new Map([...trainable].map(([name, { dims }]) => [name, this.#momenta(name, dims)]));
    const scale = this.#scaleProperties();
    const state = {
      trainable: current(trainable),
      frozen: current(frozen),
      properties: new Map([...properties, ...scale, ...this.#draws.properties()]),
      optimizer: {
        step: this.#steps,
        initialLearningRate: optimizer?.initialLearningRate ?? 0.001,
        momenta,
      },
    };
    return joinAverages({ checkpoint: state, averages: this.#averages.tensors });
  }

  /** The state as the bytes of ONNX Runtime's checkpoint file. */
  async saveCheckpoint(): Promise<Uint8Array> {
    return encodeCheckpoint(await this.checkpoint());
  }

  /** Frees the session after the call under way has ended. Throws UserError where it was freed before. */
  async release(): Promise<void> {
    await this.#guard.close();
    await this.#session.release();
    this.#state.clear();
  }

  #tensor(name: string): TensorProto | undefined {
    const tensor = this.#state.get(name);
    return tensor && fromOrtTensor(tensor);
  }

  /** ONNX Runtime's SGD wants one moment a parameter, which it never touches. */
  #momenta(parameter: string, dims: readonly number[]): TensorProto[] {
    const names = momentInputs(this.#model.step, parameter);
    const moments = names.flatMap((name) => this.#tensor(name) ?? []);
    if (moments.length > 0) return moments;
    return this.#checkpoint.optimizer?.momenta.get(parameter) ?? [zeros(dims)];
  }

  #scaleProperties(): [string, number][] {
    return [LOSS_SCALE, GOOD_STEPS].flatMap((name): [string, number][] => {
      const tensor = this.#state.get(name);
      return tensor ? [[name, Number(tensor.data[0])]] : [];
    });
  }
}

/**
 * A chunk of steps of artifacts as a file for a device. Throws UserError without an optimizer model, unless
 * the training model is fused, and where it cannot update all parameters together.
 */
export function chunkModel(
  { training, optimizer }: Pick<DecodedModels, "training" | "optimizer">,
  { name, lowering }: Pick<Device, "name" | "lowering">,
  { precision = "float32" }: ChunkSettings = {},
): ChunkModel {
  const step = optimizer
    ? fusedStep(training, optimizer, { precision })
    : fusedModelsStep(training, precision);
  // the forms of the other devices are for float32
  const graph = lowerGraph(
    step.graph,
    precision !== "float32" && name !== "cuda" ? loweringOf("portable") : lowering,
  );
  const constants = new Set(
    training.bindings.filter(({ role }) => role === "constant").map(({ input }) => input),
  );
  const own = graphInputs(graph).filter(({ name }) => !step.states.has(name) && !constants.has(name));
  const scanned = own.map(({ name }) => name);
  const bytes = encodeChunk(createModel(graph), { states: step.states, packs: step.packs, scanned });
  const feeds = own.map(({ type, ...input }) => ({
    ...input,
    type: type?.kind === "tensor" ? tensorType(type.elemType, [STEPS, ...type.shape]) : type,
  }));
  const averaged = averagedNames(training.bindings);
  const { packs, states, controls } = step;
  return { bytes, step: { packs, states, controls }, feeds, averaged };
}

/** Throws UserError for rates that are no Float32Array, and for one that is no number from 0. */
function expectRates(rates: unknown): void {
  if (!(rates instanceof Float32Array)) {
    throw new UserError(`The learning rates must be a Float32Array, one a step, not ${shown(rates)}.`, {
      code: "setting-invalid",
      details: { setting: "learningRates" },
    });
  }
  for (const rate of rates) expectRate(rate);
}

/** Throws UserError for steps that are no number from 1, and for an unknown precision. */
function expectChunks(stepsPerCall: number, precision: StepPrecision | undefined): void {
  if (!Number.isInteger(stepsPerCall) || stepsPerCall < 1) {
    throw new UserError(`stepsPerCall must be a whole number from 1, not ${shown(stepsPerCall)}.`, {
      code: "setting-invalid",
      details: { setting: "stepsPerCall", value: stepsPerCall },
    });
  }
  if (precision === undefined || stepPrecisions.includes(precision)) return;
  throw new UserError(`precision must be ${stepPrecisions.join(", ")}, not ${shown(precision)}.`, {
    code: "setting-invalid",
    details: { setting: "precision", value: precision },
  });
}

/** The step of a fused training model. Throws UserError where it is none, and for mixed precision. */
function fusedModelsStep(training: BoundGraph, precision: StepPrecision): FusedStep {
  const missing = (what: string) =>
    new UserError(`${what} an optimizer model beside the training model.`, { code: "model-missing" });
  if (!training.bindings.some(({ role }) => role === "learning-rate"))
    throw missing("Several steps a call need");
  if (precision !== "float32") throw missing("Mixed precision needs");
  return ownStep(training);
}

function initialState(
  { packs, states, controls }: ChunkModel["step"],
  checkpoint: Checkpoint,
  { ort }: Device,
) {
  const { trainable, frozen, optimizer, properties } = checkpoint;
  const moments = new Map(
    controls.flatMap((binding): [string, TensorProto][] => {
      if (binding.role !== "moment") return [];
      const kept = optimizer?.momenta.get(binding.parameter)?.[binding.index];
      return [[binding.input, kept ?? zeros(trainable.get(binding.parameter)?.dims ?? [])]];
    }),
  );
  const state = new Map<string, Tensor>();
  const members = new Set(packs.flatMap((pack) => pack.members.map(({ name }) => name)));
  for (const [name, tensor] of [...trainable, ...frozen, ...moments]) {
    if (members.has(name) || frozen.has(name) || states.has(name)) state.set(name, toOrtTensor(tensor, ort));
  }
  if (states.has(LOSS_SCALE)) {
    const number = (name: string, otherwise: number) =>
      Float32Array.of(Number(properties.get(name) ?? otherwise));
    state.set(LOSS_SCALE, new ort.Tensor("float32", number(LOSS_SCALE, INITIAL_LOSS_SCALE), []));
    state.set(GOOD_STEPS, new ort.Tensor("float32", number(GOOD_STEPS, 0), []));
  }
  return state;
}

/** The names of states by the outputs of a chunk that return their next contents; packs are their members. */
function nextStates({ states, packs }: ChunkModel["step"]): Map<string, string> {
  const members = new Map(packs.map((pack) => [pack.name, pack.members]));
  return new Map(
    [...states].flatMap(([state, output]): [string, string][] => {
      const parts = members.get(state)?.map(({ name }): [string, string] => [nextName(name), name]);
      return parts ?? [[output, state]];
    }),
  );
}

function momentInputs({ controls }: ChunkModel["step"], parameter: string): string[] {
  return controls.flatMap((binding) =>
    binding.role === "moment" && binding.parameter === parameter ? [binding.input] : [],
  );
}

function zeros(dims: readonly number[]): TensorProto {
  return new TensorProto("float", dims, new Float32Array(dims.reduce((size, dim) => size * dim, 1)));
}
