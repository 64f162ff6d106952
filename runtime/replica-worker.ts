import { parentPort } from "node:worker_threads";
import { encodeCheckpoint } from "../artifacts/checkpoint.ts";
import { UserError } from "../graph-builder/errors.ts";
import { type Device, openDevice } from "./devices.ts";
import { SharedGradients } from "./shared-gradients.ts";
import { namedTensors, type PlainTensors, plainTensors, type Share } from "./shares.ts";
import type { TrainingSources } from "./sources.ts";
import { TrainingSession } from "./training-session.ts";

/** What a replica is opened with. */
export interface ReplicaSetup {
  readonly sources: TrainingSources<Uint8Array>;
  readonly threads: number;
  readonly gradients: SharedArrayBuffer;
  readonly replicas: number;
  /** Counted from 0. */
  readonly index: number;
}

/** What a replica is to run; of a batch smaller than the number of replicas some get no share. */
export interface ReplicaStep {
  readonly share: Share | undefined;
  readonly fetches: readonly string[] | undefined;
}

/** A session and its part in the common gradients. */
class Replica {
  readonly #session: TrainingSession;
  readonly #device: Device;
  readonly #gradients: SharedGradients;

  private constructor(session: TrainingSession, device: Device, gradients: SharedGradients) {
    this.#session = session;
    this.#device = device;
    this.#gradients = gradients;
  }

  static async open({ sources, threads, gradients, replicas, index }: ReplicaSetup): Promise<Replica> {
    const device = await openDevice("cpu", { threads });
    const session = await TrainingSession.create(sources, device);
    return new Replica(session, device, new SharedGradients(gradients, replicas, index));
  }

  async train({ share, fetches, reset }: ReplicaStep & { readonly reset: boolean }): Promise<PlainTensors> {
    if (reset) this.#gradients.reset();
    if (!share) return {};
    this.#session.lazyResetGrad();
    const outputs = await this.#session.runTrainStep(namedTensors(share.tensors, this.#device.ort), fetches);
    this.#gradients.add(this.#session.sharedGradients(), share.weight);
    return plainTensors(outputs);
  }

  async sum(): Promise<void> {
    this.#gradients.sumPart();
  }

  async update(learningRate: number): Promise<void> {
    this.#gradients.read(this.#session.sharedGradients());
    this.#session.learningRate = learningRate;
    await this.#session.runOptimizerStep();
  }

  async checkpoint(): Promise<Uint8Array> {
    return encodeCheckpoint(this.#session.checkpoint());
  }
}

/** What a replica can be asked, one question at a time; the first opens it. */
export type ReplicaCalls = Pick<Replica, keyof Replica> & {
  readonly open: (setup: ReplicaSetup) => Promise<void>;
  /** Is not answered. */
  readonly close: () => Promise<never>;
};

export type ReplicaRequest = {
  [M in keyof ReplicaCalls]: { readonly method: M; readonly argument: Parameters<ReplicaCalls[M]>[0] };
}[keyof ReplicaCalls];

/** An error loses its class between threads, so it is told whether it was the user's mistake. */
export type ReplicaReply =
  | { readonly result: Awaited<ReturnType<ReplicaCalls[keyof ReplicaCalls]>> }
  | { readonly error: unknown; readonly isMistake: boolean };

let replica: Replica | undefined;

async function answer({ method, argument }: ReplicaRequest): Promise<ReplicaReply> {
  try {
    if (method === "close") process.exit();
    if (method === "open") replica = await Replica.open(argument);
    return { result: method === "open" ? undefined : await replica?.[method](argument as never) };
  } catch (error) {
    return { error, isMistake: error instanceof UserError };
  }
}

parentPort?.on("message", async (request: ReplicaRequest) => parentPort?.postMessage(await answer(request)));
