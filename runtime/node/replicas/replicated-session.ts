import * as ort from "onnxruntime-common";
import { joinAverages, splitAverages } from "../../../artifacts/averages.ts";
import { type Checkpoint, decodeCheckpoint } from "../../../artifacts/checkpoint.ts";
import { expectRate } from "../../../artifacts/learning-rate.ts";
import { randomStateOf } from "../../../artifacts/random-state.ts";
import { at } from "../../../graph-builder/at.ts";
import { type InputSizes, type Lowering, shown, Tensor, UserError } from "../../../graph-builder/index.ts";
import { SharedState } from "../../replicas/collective.ts";
import type { Link } from "../../replicas/ranks.ts";
import { type BatchAxes, joinShares, namedTensors, type Share, splitBatch } from "../../replicas/shares.ts";
import { CallGuard } from "../../session/call-guard.ts";
import { type CompileCache, compiled } from "../../session/compile-cache.ts";
import { checkFeeds, type GraphInput } from "../../session/feeds.ts";
import {
  decodeArtifacts,
  type LoweredModels,
  type ReadArtifacts,
  readArtifacts,
} from "../../session/lowered-models.ts";
import { missingGradients } from "../../session/refusals.ts";
import type { TrainingSessionCreateOptions, TrainingSources } from "../../session/sources.ts";
import type { Trainer } from "../../session/trainer.ts";
import type { NamedTensors } from "../../session/training-session.ts";
import { type AverageStep, expectAverageStep } from "../../session/weight-averages.ts";
import { encodePlain } from "../compiled/plain-data.ts";
import { openDevice } from "../devices.ts";
import { RankedSums } from "./ranked-sums.ts";
import { modelsOf, type ReplicaModels, replicaModels } from "./replica-models.ts";
import { ReplicaThread } from "./replica-thread.ts";
import type { ReplicaSetup } from "./replica-worker.ts";

/** How many replicas train, and how each of them is opened. */
export interface ReplicaOptions {
  /** The replicas of this process. */
  readonly replicas: number;
  /** Connects the ranks, each of which has as many replicas; this process trains alone where left out. */
  readonly link?: Link | undefined;
  /** The threads of each replica's operators; 1 where left out. */
  readonly threads?: number | undefined;
  /** The lowering of the training operators; this machine's own where left out. */
  readonly lowering?: Lowering | undefined;
  /** Sizes of the training model's inputs, as TrainingSession takes them. */
  readonly inputSizes?: readonly InputSizes[] | undefined;
  /**
   * The symbol of the batch's axis in the training model; `batch` where left out. The replicas share what has
   * such an axis; where nothing has one, the first replica takes the whole batch.
   */
  readonly batch?: string | undefined;
  /** Keeps the lowered models for the next session of the same artifacts; none where left out. */
  readonly cache?: CompileCache | undefined;
  /** The script of the workers, for a bundler that moves it. */
  readonly worker?: URL | undefined;
}

/**
 * Data-parallel training of ONNX Runtime training artifacts on the CPU: several sessions, each in a worker
 * thread with its share of every batch. Gradients are averaged over the images in memory that the threads
 * share; every replica then updates its part of the parameters, and the others copy them. Batch normalisation
 * sees a replica's own images; the running statistics are those of the first replica, as in PyTorch's
 * DataParallel. Every replica draws random numbers of its own. Beside the number of replicas, a result
 * depends only on what the result of a single session depends on. A replica that fails or dies ends the
 * session: the call under way and every later call throw a ReplicaError that names the replica. Calls that
 * overlap are refused, and so is every call after the release.
 *
 * Several processes can train together as ranks. All of them make the same calls with the same feeds, of
 * which each rank takes the shares of its own replicas; the sums over the gradients and the outputs are the
 * same bits on every rank. The replicas of rank 0 come first.
 */
export class ReplicatedSession implements Trainer {
  readonly #first: ReplicaThread;
  readonly #others: readonly ReplicaThread[];
  readonly #inputs: readonly GraphInput[];
  readonly #axes: BatchAxes;
  readonly #ranks: RankedSums | undefined;
  readonly #guard = new CallGuard();
  #resetGradients = true;
  #randomStep: bigint;
  #learningRate: number;

  private constructor(
    [first, ...others]: readonly ReplicaThread[],
    { properties, optimizer }: Checkpoint,
    { inputs, axes }: ReplicaModels,
    ranks: RankedSums | undefined,
  ) {
    if (!first) throw new RangeError("there must be one replica at least");
    this.#first = first;
    this.#others = others;
    this.#ranks = ranks;
    this.#inputs = inputs;
    this.#axes = axes;
    this.#randomStep = randomStateOf(properties).step;
    this.#learningRate = optimizer?.initialLearningRate ?? 0.001;
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
   * Opens a session in every thread. Throws UserError for replicas that are no number from 1 to 1024, for a
   * fused training model, for parameters that are not float, and as TrainingSession does.
   */
  static async create(
    sources: TrainingSources | TrainingSessionCreateOptions,
    options: ReplicaOptions,
  ): Promise<ReplicatedSession> {
    expectReplicas(options);
    const { replicas, worker = new URL("./replica-worker.js", import.meta.url) } = options;
    const pool: ReplicaThread[] = [];
    const stop = (error: unknown) => {
      for (const thread of pool) thread.stop(error);
    };
    for (let i = 1; i <= replicas; i++) {
      pool.push(new ReplicaThread(worker, `Replica ${i} of ${replicas}`, stop));
    }
    try {
      // the artifacts are read and lowered while the threads start
      const artifacts = await readArtifacts(sources);
      return await ReplicatedSession.#open(pool, artifacts, await compileModels(artifacts, options), options);
    } catch (error) {
      stop(error);
      throw error;
    }
  }

  static async #open(
    pool: readonly ReplicaThread[],
    { files, checkpoint }: ReadArtifacts,
    models: ReplicaModels,
    { replicas, link, threads = 1 }: ReplicaOptions,
  ): Promise<ReplicatedSession> {
    const layout = { sizes: models.sizes, replicas, hasRanks: link !== undefined };
    const state = SharedState.allocate(layout);
    const sums = SharedState.sums(state, layout);
    const { parts } = models;
    const common = { checkpoint: inSharedMemory(files.checkpoint), threads, state, layout, parts };
    const setupOf = (index: number): ReplicaSetup => ({
      ...common,
      models: plainBytes(modelsOf(models, index)),
      needs: at(models.needs, index),
      index,
      globalIndex: (link?.rank ?? 0) * replicas + index,
    });
    await allOf(pool.map((thread, index) => thread.call("open", setupOf(index))));
    return new ReplicatedSession(pool, checkpoint, models, link && sums && new RankedSums(link, sums));
  }

  /**
   * Runs forward and backward on one batch; gradients are added to those since the last lazyResetGrad. Float
   * outputs such as `loss` are means over the images, and integer outputs such as `correct` are sums.
   * Throws UserError for a missing input, an unknown output, inputs that disagree about the number of images,
   * and labels that are no classes.
   */
  async runTrainStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    return this.#guard.run("runTrainStep", async () => {
      checkFeeds(this.#inputs, feeds);
      const [reset, randomStep] = [this.#resetGradients, this.#randomStep];
      // the batch is copied synchronously, so the caller may reuse its buffers for the next one
      const shares = this.#ownShares(feeds);
      const outputs = await allOf(
        this.#threads.map((thread, i) =>
          thread.call("train", { share: shares[i], fetches, reset, randomStep }),
        ),
      );
      this.#randomStep += 1n;
      this.#resetGradients = false;
      const results = shares.map(({ weight }, i) => ({ tensors: at(outputs, i), weight }));
      return namedTensors(joinShares((await this.#ranks?.sharesOfAll(results)) ?? results, this.#axes), ort);
    });
  }

  /** The shares of a batch for the replicas of this process. */
  #ownShares(feeds: NamedTensors): Share[] {
    const { rank, size } = this.#ranks?.link ?? { rank: 0, size: 1 };
    const own = this.#threads.length;
    return splitBatch(feeds, this.#axes, own * size, own * rank, own * (rank + 1));
  }

  /**
   * Updates the parameters from the gradients at the current learning rate. Throws UserError where there is
   * no optimizer model, and before a train step has made gradients.
   */
  async runOptimizerStep(): Promise<void> {
    return this.#guard.run("runOptimizerStep", async () => {
      if (this.#resetGradients) throw missingGradients();
      if (this.#ranks) {
        await allOf(this.#threads.map((thread) => thread.call("combine", undefined)));
        await this.#ranks.add();
      }
      await allOf(this.#threads.map((thread) => thread.call("update", this.#learningRate)));
    });
  }

  /** Makes the next train step start its gradients anew. */
  lazyResetGrad(): void {
    this.#guard.expectIdle("lazyResetGrad");
    this.#resetGradients = true;
  }

  /**
   * Lets the running averages of parameters and statistics follow them; the checkpoint holds the averages
   * from then on.
   */
  async averageWeights(step: AverageStep): Promise<void> {
    expectAverageStep(step);
    return this.#guard.run("averageWeights", async () => {
      await allOf(this.#threads.map((thread) => thread.call("average", step)));
    });
  }

  /**
   * The state as a checkpoint; its properties are those of the checkpoint that was opened. Running statistics
   * are those of the first replica of this process. Throws UserError where the ranks' parameters differ.
   */
  async checkpoint(): Promise<Checkpoint> {
    return this.#guard.run("checkpoint", async () => {
      const checkpoint = await this.#gatherCheckpoint();
      await this.#ranks?.expectSame(checkpoint);
      return checkpoint;
    });
  }

  async #gatherCheckpoint(): Promise<Checkpoint> {
    const first = decodeCheckpoint(await this.#first.call("checkpoint", undefined));
    const { checkpoint, averages } = splitAverages(first);
    const all = new Map(averages);
    const parts = await allOf(this.#others.map((thread) => thread.call("ownState", undefined)));
    for (const { parameter, moments, average } of parts.flat()) {
      const { dims } = checkpoint.trainable.get(parameter) ?? missing(parameter);
      const tensor = (data: Float32Array<ArrayBuffer>) => new Tensor("float", dims, data);
      checkpoint.optimizer?.momenta.set(parameter, moments.map(tensor));
      if (average) all.set(parameter, tensor(average));
    }
    return joinAverages({ checkpoint, averages: all });
  }

  /** Ends the threads and frees their sessions. Throws UserError where they were freed before. */
  async release(): Promise<void> {
    this.#guard.expectOpen("release");
    // the call under way rejects with this error
    const closing = this.#guard.close();
    const released = new UserError("The session was released.", { code: "session-released" });
    await Promise.all(this.#threads.map((thread) => thread.stop(released)));
    await closing;
  }

  get #threads(): readonly ReplicaThread[] {
    return [this.#first, ...this.#others];
  }
}

/**
 * Waits until all calls have ended and returns their results. Throws the error of the first call in the list
 * that failed.
 */
async function allOf<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(calls);
  return Promise.all(calls);
}

function missing(parameter: string): never {
  throw new Error(`the checkpoint has no parameter ${parameter}`);
}

/** The models of artifacts for the CPU, compiled or from the cache. */
async function compileModels(
  artifacts: ReadArtifacts,
  {
    replicas,
    inputSizes,
    batch,
    cache,
    ...own
  }: Pick<ReplicaOptions, "replicas" | "lowering" | "inputSizes" | "batch" | "cache">,
): Promise<ReplicaModels> {
  const device = await openDevice("cpu");
  const lowering = own.lowering ?? device.lowering;
  const compiling = { cache, kind: "replicas", settings: { replicas, inputSizes, batch } };
  return compiled(artifacts, { ...device, lowering }, compiling, () =>
    replicaModels(decodeArtifacts(artifacts), lowering, { replicas, inputSizes, batch }),
  );
}

/** Models as bytes for a message. */
function plainBytes(models: LoweredModels): Uint8Array {
  const bytes = encodePlain(models);
  if (!bytes) throw new TypeError("lowered models are plain data");
  return bytes;
}

/** Bytes that the threads read without a copy of their own. */
function inSharedMemory(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

/** Throws UserError for replicas that are no number from 1 to 1024: each is a thread. */
function expectReplicas(options: unknown): void {
  const isObject = typeof options === "object" && options !== null;
  const replicas = isObject && "replicas" in options ? options.replicas : undefined;
  if (Number.isInteger(replicas) && Number(replicas) >= 1 && Number(replicas) <= 1024) return;
  throw new UserError(`replicas must be a whole number from 1 to 1024, not ${shown(replicas)}.`, {
    code: "setting-invalid",
    details: { setting: "replicas", value: replicas },
  });
}
