import type { FeatureNetworkInfo } from "../../calls/own.ts";
import type { WorkerClient } from "../worker-client.ts";
import { joined } from "./lesson.ts";
import type { PictureStore } from "./picture-store.ts";

/** Pictures whose features are computed in one call of the worker. */
const BATCH = 32;

/** How many of the pictures have features. */
export type OnEmbedded = (done: number, of: number) => void;

/** The features of the pictures, which are computed once for each and kept by the browser. */
export class FeatureCache {
  readonly #worker: WorkerClient;
  readonly #store: PictureStore;
  /** The address of the network's checkpoint. */
  readonly checkpoint: string;
  #known: Set<number> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(worker: WorkerClient, store: PictureStore, checkpoint: string) {
    [this.#worker, this.#store, this.checkpoint] = [worker, store, checkpoint];
  }

  network(): Promise<FeatureNetworkInfo> {
    return this.#worker.call("featureNetwork", this.checkpoint);
  }

  /**
   * Computes the features that are missing. Calls wait for each other. Rejects with UserError as the worker.
   */
  embed(ids: readonly number[], onEmbedded: OnEmbedded = () => {}): Promise<void> {
    const run = this.#last.then(() => this.#embed(ids, onEmbedded));
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** The features of pictures, by their ids. A picture that was removed is left out. */
  featuresOf(ids: readonly number[]): Promise<ReadonlyMap<number, Float32Array>> {
    return this.#store.features(ids);
  }

  async #embed(ids: readonly number[], onEmbedded: OnEmbedded): Promise<void> {
    const { digest: network, features: columns } = await this.network();
    this.#known ??= await this.#store.idsWithFeatures(network);
    const known = this.#known;
    const missing = ids.filter((id) => !known.has(id));
    for (let first = 0; first < missing.length; first += BATCH) {
      onEmbedded(ids.length - missing.length + first, ids.length);
      const pictures = await this.#store.pixels(missing.slice(first, first + BATCH));
      // they may all have been removed meanwhile
      if (pictures.size === 0) continue;
      const embedded = [...pictures.keys()];
      const { features } = await this.#worker.call("embed", this.checkpoint, joined([...pictures.values()]));
      await this.#store.putFeatures(
        embedded.map((id, i) => ({ id, network, values: features.slice(i * columns, (i + 1) * columns) })),
      );
      for (const id of embedded) known.add(id);
    }
    onEmbedded(ids.length, ids.length);
  }
}
