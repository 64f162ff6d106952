import type { LastBatch } from "../../runtime/data/batches.ts";
import { type DatasetName, isDatasetName } from "../../runtime/data/dataset.ts";

/** The passes over a data set that is known by name, where nobody says another number. */
const knownEpochs: Readonly<Record<DatasetName, number>> = {
  shapes: 4,
  cifar10: 1800,
  cifar100: 1800,
  mnist: 10,
  "fashion-mnist": 30,
  stl10: 200,
};

/** The passes over one's own pictures where their number is not known. */
const ownEpochs = 30;

/** The passes over a data set where nobody says another number. */
export function defaultEpochs(
  data: string,
  known: Readonly<Record<DatasetName, number>> = knownEpochs,
): number {
  return isDatasetName(data) ? known[data] : ownEpochs;
}

/** Settings that follow from the number of one's own training pictures. */
export interface CountSettings {
  readonly batchSize: number;
  readonly epochs: number;
  readonly lastBatch: LastBatch;
}

/** The bounds of a batch, and how many batches an epoch is to have. */
const [smallestBatch, largestBatch, batchesPerEpoch] = [8, 64, 16] as const;

/** How many steps a run is to have, within how many epochs: of a new network, and of one that has learnt. */
const lengths = {
  new: { steps: 600, fewest: ownEpochs, most: 100 },
  trained: { steps: 200, fewest: 5, most: 30 },
} as const;

/**
 * The batch size and the epochs of a run on `count` pictures. An epoch has about 16 batches of 8 to 64
 * pictures, over which they are spread. A new network has 600 steps in 30 to 100 epochs, one that has learnt
 * before has 200 steps in 5 to 30 epochs. A batch size that was given stays.
 */
export function settingsForCount(
  count: number,
  given: { readonly batchSize?: number | undefined },
  network: keyof typeof lengths = "new",
): CountSettings {
  const wanted = 2 ** Math.round(Math.log2(count / batchesPerEpoch));
  const batchSize = given.batchSize ?? Math.max(smallestBatch, Math.min(largestBatch, wanted));
  const { steps, fewest, most } = lengths[network];
  const epochs = Math.ceil(steps / Math.ceil(count / batchSize));
  return { batchSize, epochs: Math.max(fewest, Math.min(most, epochs)), lastBatch: "spread" };
}

/** Settings that suit a data set that is known by name: a digit in a mirror is no digit. */
export function settingsForKnown(data: string): { readonly flip?: "none" } {
  return data === "mnist" ? { flip: "none" } : {};
}
