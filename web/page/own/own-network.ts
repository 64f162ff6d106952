import { UserError } from "../../../graph-builder/errors.ts";
import type { Answer } from "../../calls/model.ts";
import type { OwnTrained } from "../../calls/own.ts";
import { Kept } from "../../storage.ts";
import type { WorkerClient } from "../worker-client.ts";

/** A network as the browser keeps it, and what it was measured on. */
export interface KeptNetwork {
  readonly trained: OwnTrained;
  readonly classNames: readonly string[];
  /** The classes of the pictures that were held out. */
  readonly labels: Uint8Array;
  /** What it was trained on: it tells whether the pictures have changed since. */
  readonly pictures: string;
}

const kept = new Kept<KeptNetwork>("own-network-1");

/** The network that was trained on one's own classes. */
export class OwnNetwork {
  readonly #worker: WorkerClient;
  #network: KeptNetwork | undefined;

  constructor(worker: WorkerClient) {
    this.#worker = worker;
  }

  get current(): KeptNetwork | undefined {
    return this.#network;
  }

  /** Takes the network of before a reload. */
  async restore(): Promise<void> {
    this.#network ??= await kept.get();
  }

  /** Takes a network that was trained. Returns whether a reload will find it. */
  async set(network: KeptNetwork): Promise<boolean> {
    this.#network = network;
    await this.#worker.call("openOwn", network.trained.onnx);
    // it may have been forgotten meanwhile
    return this.#network !== network || kept.put(network);
  }

  async forget(): Promise<void> {
    this.#network = undefined;
    // a worker that has failed holds no network
    void this.#worker.call("closeOwn").catch(() => undefined);
    await kept.delete();
  }

  /** Classifies a picture uint8 [3, 32, 32]. Rejects with UserError where no network is trained. */
  async classify(pixels: Uint8Array): Promise<Answer> {
    try {
      return await this.#worker.call("classifyOwn", pixels);
    } catch (error) {
      const isClosed = error instanceof UserError && error.code === "model-missing";
      // after a reload, and after the worker was started anew
      if (!isClosed || !this.#network) throw error;
      await this.#worker.call("openOwn", this.#network.trained.onnx);
      return this.#worker.call("classifyOwn", pixels);
    }
  }
}
