import { parentPort } from "node:worker_threads";
import { splitAverages } from "../../../artifacts/averages.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../../artifacts/checkpoint.ts";
import { randomProperties, randomStateOf } from "../../../artifacts/random-state.ts";
import { at } from "../../../graph-builder/at.ts";
import { drawnBits } from "../../../graph-builder/counter-hash.ts";
import type { RuntimeDevice } from "../../device/device.ts";
import { floatData } from "../../device/tensors.ts";
import { type SharedLayout, SharedState } from "../../replicas/collective.ts";
import { namedTensors, type PlainTensors, plainTensors, type Share } from "../../replicas/shares.ts";
import type { LoweredModels } from "../../session/lowered-models.ts";
import { LoweredSession } from "../../session/lowered-session.ts";
import type { AverageStep } from "../../session/weight-averages.ts";
import { decodePlain } from "../compiled/plain-data.ts";
import { openRuntimeDevice } from "../devices.ts";
import { replyOf, type ThreadReply } from "../thread-reply.ts";

/** The arguments with which a replica is opened. */
export interface ReplicaSetup {
  /**
   * LoweredModels as encodePlain writes them: a message keeps no class, such as those of dimensions. The
   * optimizer's step updates the replica's part of the parameters only.
   */
  readonly models: Uint8Array;
  readonly checkpoint: Uint8Array;
  readonly threads: number;
  readonly state: SharedArrayBuffer;
  /** Its parameters are in the order of the training model's inputs. */
  readonly layout: SharedLayout;
  /** For each replica of the process the parameters that it updates. */
  readonly parts: readonly (readonly number[])[];
  /** The parameters whose gradients its update reads. */
  readonly needs: readonly number[];
  /** Counted from 0 among the replicas of the process. */
  readonly index: number;
  /** Counted from 0 among the replicas of all ranks. */
  readonly globalIndex: number;
}

/**
 * A step of one replica. Where a batch is smaller than the number of replicas, some replicas get no share.
 */
export interface ReplicaStep {
  readonly share: Share | undefined;
  readonly fetches: readonly string[] | undefined;
  readonly reset: boolean;
  /** The number of the step's random draw. */
  readonly randomStep: bigint;
}

/** What a replica alone knows of a parameter that it updates. */
export interface OwnState {
  readonly parameter: string;
  readonly moments: readonly Float32Array<ArrayBuffer>[];
  /** The running average of its values, where there is one. */
  readonly average: Float32Array<ArrayBuffer> | undefined;
}

/** A session that updates one part of the parameters and copies the rest from the other replicas. */
class Replica {
  readonly #session: LoweredSession;
  readonly #device: RuntimeDevice;
  readonly #state: SharedState;
  readonly #own: readonly number[];
  readonly #others: readonly number[];
  readonly #needs: readonly number[];
  readonly #index: number;
  #isBehind = false;

  private constructor(session: LoweredSession, device: RuntimeDevice, setup: ReplicaSetup) {
    const { state, layout, parts, needs, index } = setup;
    this.#session = session;
    this.#device = device;
    this.#state = new SharedState(state, layout, index);
    this.#own = at(parts, index);
    this.#others = parts.filter((_, i) => i !== index).flat();
    this.#needs = needs;
    this.#index = index;
  }

  static async open(setup: ReplicaSetup): Promise<Replica> {
    const device = await openRuntimeDevice("cpu", { threads: setup.threads });
    const checkpoint = decodeCheckpoint(setup.checkpoint);
    drawOwnNumbers(checkpoint, setup.globalIndex);
    const models: LoweredModels = decodePlain(setup.models);
    return new Replica(await LoweredSession.open(models, checkpoint, device), device, setup);
  }

  async train({ share, fetches, reset, randomStep }: ReplicaStep): Promise<PlainTensors> {
    this.#catchUp();
    if (!share) {
      if (reset) this.#state.clear();
      return {};
    }
    this.#session.lazyResetGrad();
    this.#session.randomStep = randomStep;
    const outputs = await this.#session.runTrainStep(namedTensors(share.tensors, this.#device.ort), fetches);
    this.#state.add(this.#session.sharedGradients(), share.weight, reset);
    return plainTensors(outputs);
  }

  /**
   * Sums the gradients of the replica's part over the replicas of the process, for the sum over all ranks.
   * Call it when every replica has trained.
   */
  combine(): void {
    this.#state.combine(this.#own);
  }

  /**
   * Updates the replica's part. Call it when every replica has trained; no replica may train before all have
   * updated.
   */
  async update(learningRate: number): Promise<void> {
    this.#catchUp();
    this.#state.sum(this.#session.sharedGradients(), this.#needs);
    this.#session.learningRate = learningRate;
    if (this.#own.length > 0) await this.#session.runOptimizerStep();
    this.#state.publish(this.#session.sharedParameters(), this.#own);
    this.#isBehind = true;
  }

  /**
   * Averages the replica's part, and the first replica the running statistics too. Call it between the update
   * and the next step.
   */
  async average(step: AverageStep): Promise<void> {
    const names = this.#session.parameterNames();
    const own = new Set(this.#own.map((i) => at(names, i)));
    const isOthers = (name: string) => this.#index > 0 || names.includes(name);
    await this.#session.averageWeights(step, (name) => own.has(name) || !isOthers(name));
    if (!step.pull) return;
    this.#state.publish(this.#session.sharedParameters(), this.#own);
    this.#isBehind = true;
  }

  async checkpoint(): Promise<Uint8Array> {
    this.#catchUp();
    return encodeCheckpoint(await this.#session.checkpoint());
  }

  async ownState(): Promise<readonly OwnState[]> {
    const { checkpoint, averages } = splitAverages(await this.#session.checkpoint());
    const names = this.#session.parameterNames();
    return this.#own.map((i) => {
      const parameter = at(names, i);
      const moments = checkpoint.optimizer?.momenta.get(parameter) ?? [];
      const average = averages.get(parameter);
      return {
        parameter,
        moments: moments.map((tensor) => floatData(tensor).slice()),
        average: average && floatData(average).slice(),
      };
    });
  }

  /** Copies the parameters that the other replicas have updated in the last step. */
  #catchUp(): void {
    if (this.#isBehind) this.#state.read(this.#session.sharedParameters(), this.#others);
    this.#isBehind = false;
  }
}

/**
 * Gives every replica but the first, whose checkpoint is that of the training, random numbers of its own.
 */
function drawOwnNumbers({ properties }: Checkpoint, replica: number): void {
  if (replica === 0) return;
  const { seed, step } = randomStateOf(properties);
  const own = BigInt.asIntN(64, drawnBits({ seed, step: replica, stream: "replica" }, 0));
  for (const [name, value] of randomProperties({ seed: own, step })) properties.set(name, value);
}

/** The requests that a replica answers, one at a time. The first is `open`. */
export type ReplicaCalls = Pick<Replica, keyof Replica> & {
  readonly open: (setup: ReplicaSetup) => Promise<void>;
  /** Ends the worker, which sends no answer. */
  readonly close: () => Promise<never>;
};

export type ReplicaRequest = {
  [M in keyof ReplicaCalls]: { readonly method: M; readonly argument: Parameters<ReplicaCalls[M]>[0] };
}[keyof ReplicaCalls];

type ReplicaResult = Awaited<ReturnType<ReplicaCalls[keyof ReplicaCalls]>>;

export type ReplicaReply = ThreadReply<ReplicaResult>;

let replica: Replica | undefined;

async function resultOf(request: ReplicaRequest): Promise<ReplicaResult> {
  switch (request.method) {
    case "open":
      replica = await Replica.open(request.argument);
      return undefined;
    case "train":
      return expectReplica().train(request.argument);
    case "combine":
      return expectReplica().combine();
    case "update":
      return expectReplica().update(request.argument);
    case "checkpoint":
      return expectReplica().checkpoint();
    case "average":
      return expectReplica().average(request.argument);
    case "ownState":
      return expectReplica().ownState();
    case "close":
      return process.exit();
  }
}

function expectReplica(): Replica {
  if (replica) return replica;
  throw new Error("the replica is not open");
}

parentPort?.on("message", async (request: ReplicaRequest) =>
  parentPort?.postMessage(await replyOf(() => resultOf(request))),
);
