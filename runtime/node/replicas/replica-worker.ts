import { parentPort } from "node:worker_threads";
import { decodeCheckpoint, encodeCheckpoint } from "../../../artifacts/checkpoint.ts";
import { at } from "../../../graph-builder/at.ts";
import type { Device } from "../../device/device.ts";
import { floatData } from "../../device/tensors.ts";
import { SharedState } from "../../replicas/collective.ts";
import { namedTensors, type PlainTensors, plainTensors, type Share } from "../../replicas/shares.ts";
import type { LoweredModels } from "../../session/lowered-models.ts";
import { TrainingSession } from "../../session/training-session.ts";
import { openDevice } from "../devices.ts";
import { replyOf, type ThreadReply } from "../thread-reply.ts";

/** The arguments with which a replica is opened. */
export interface ReplicaSetup {
  /** The optimizer's step updates the replica's part of the parameters only. */
  readonly models: LoweredModels;
  readonly checkpoint: Uint8Array;
  readonly threads: number;
  readonly state: SharedArrayBuffer;
  /** The number of values of each parameter, in the order of the training model's inputs. */
  readonly sizes: readonly number[];
  /** For each replica the parameters that it updates. */
  readonly parts: readonly (readonly number[])[];
  /** The parameters whose gradients its update reads. */
  readonly needs: readonly number[];
  /** Counted from 0. */
  readonly index: number;
}

/**
 * A step of one replica. Where a batch is smaller than the number of replicas, some replicas get no share.
 */
export interface ReplicaStep {
  readonly share: Share | undefined;
  readonly fetches: readonly string[] | undefined;
  readonly reset: boolean;
}

/** The moments of a replica's part of the parameters, by parameter. */
export type Moments = readonly (readonly [string, readonly Float32Array<ArrayBuffer>[]])[];

/** A session that updates one part of the parameters and copies the rest from the other replicas. */
class Replica {
  readonly #session: TrainingSession;
  readonly #device: Device;
  readonly #state: SharedState;
  readonly #own: readonly number[];
  readonly #others: readonly number[];
  readonly #needs: readonly number[];
  #isBehind = false;

  private constructor(session: TrainingSession, device: Device, setup: ReplicaSetup) {
    const { state, sizes, parts, needs, index } = setup;
    this.#session = session;
    this.#device = device;
    this.#state = new SharedState(state, sizes, parts.length, index);
    this.#own = at(parts, index);
    this.#others = parts.filter((_, i) => i !== index).flat();
    this.#needs = needs;
  }

  static async open(setup: ReplicaSetup): Promise<Replica> {
    const device = await openDevice("cpu", { threads: setup.threads });
    const checkpoint = decodeCheckpoint(setup.checkpoint);
    return new Replica(await TrainingSession.open(setup.models, checkpoint, device), device, setup);
  }

  async train({ share, fetches, reset }: ReplicaStep): Promise<PlainTensors> {
    this.#catchUp();
    if (!share) {
      if (reset) this.#state.clear();
      return {};
    }
    this.#session.lazyResetGrad();
    const outputs = await this.#session.runTrainStep(namedTensors(share.tensors, this.#device.ort), fetches);
    this.#state.add(this.#session.sharedGradients(), share.weight, reset);
    return plainTensors(outputs);
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

  async checkpoint(): Promise<Uint8Array> {
    this.#catchUp();
    return encodeCheckpoint(this.#session.checkpoint());
  }

  async moments(): Promise<Moments> {
    const { optimizer } = this.#session.checkpoint();
    const names = this.#session.parameterNames();
    return this.#own.map((i) => {
      const name = at(names, i);
      const tensors = optimizer?.momenta.get(name) ?? [];
      return [name, tensors.map((tensor) => floatData(tensor).slice())];
    });
  }

  /** Copies the parameters that the other replicas have updated in the last step. */
  #catchUp(): void {
    if (this.#isBehind) this.#state.read(this.#session.sharedParameters(), this.#others);
    this.#isBehind = false;
  }
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
    case "update":
      return expectReplica().update(request.argument);
    case "checkpoint":
      return expectReplica().checkpoint();
    case "moments":
      return expectReplica().moments();
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
