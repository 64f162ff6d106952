import { at } from "../../../graph-builder/at.ts";
import type { FeatureNetworkInfo } from "../../calls/own.ts";
import type { WorkerClient } from "../worker-client.ts";
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

  /** Computes the features that are missing. Calls wait for each other. Rejects with UserError as the worker. */
  embed(ids: readonly number[], onEmbedded: OnEmbedded = () => {}): Promise<void> {
    const run = this.#last.then(() => this.#embed(ids, onEmbedded));
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** The features of pictures in their order, float [count, features]. They must have been computed. */
  async featuresOf(ids: readonly number[]): Promise<Float32Array> {
    const found = await this.#store.features(ids);
    const columns = found[0]?.values.length ?? 0;
    const rows = new Float32Array(ids.length * columns);
    for (const [i, { values }] of found.entries()) rows.set(values, i * columns);
    return rows;
  }

  async #embed(ids: readonly number[], onEmbedded: OnEmbedded): Promise<void> {
    const { digest: network, features: columns } = await this.network();
    this.#known ??= await this.#store.idsWithFeatures(network);
    const known = this.#known;
    const missing = ids.filter((id) => !known.has(id));
    for (let first = 0; first < missing.length; first += BATCH) {
      onEmbedded(ids.length - missing.length + first, ids.length);
      const batch = missing.slice(first, first + BATCH);
      const pictures = await this.#store.pixels(batch);
      // some may have been removed meanwhile
      if (pictures.length !== batch.length) continue;
      const values = await this.#worker.call("embed", this.checkpoint, joined(pictures));
      await this.#store.putFeatures(
        batch.map((id, i) => ({ id, network, values: values.slice(i * columns, (i + 1) * columns) })),
      );
      for (const id of batch) known.add(id);
    }
    onEmbedded(ids.length, ids.length);
  }
}

/** Pictures of one size as one array. */
export function joined(pictures: readonly Uint8Array[]): Uint8Array {
  const size = pictures.length === 0 ? 0 : at(pictures, 0).length;
  const images = new Uint8Array(pictures.length * size);
  for (const [i, picture] of pictures.entries()) images.set(picture, i * size);
  return images;
}
