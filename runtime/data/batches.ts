import { at } from "../../graph-builder/at.ts";
import { RandomStream } from "../../graph-builder/random.ts";
import { type Augmentation, augmenter, paperAugmentation } from "./augmentation.ts";
import { type Dataset, pixelsOf } from "./types.ts";

/** What a model is fed: images [batch, channels, height, width] in raw pixels 0..255 and labels [batch]. */
export interface TrainBatch {
  readonly images: Uint8Array;
  readonly labels: BigInt64Array;
}

/** A batch without crops and flips. */
export type EvaluationBatch = TrainBatch;

/**
 * The batches of an epoch whose images do not fill the last one. `smaller`: the last batch is smaller, as in
 * the paper's code. `spread`: all batches of an epoch have the same number of images, or one fewer.
 */
export const lastBatches = ["smaller", "spread"] as const;
export type LastBatch = (typeof lastBatches)[number];

/** How a data set is cut into training batches. */
export interface TrainBatchSettings {
  readonly seed: number;
  /** images of a batch, at most */
  readonly batchSize: number;
  /** `smaller` where left out. */
  readonly lastBatch?: LastBatch | undefined;
  /** The augmentation of the paper's code where left out. */
  readonly augmentation?: Augmentation | undefined;
}

/** The number of training steps of an epoch. */
export function stepsPerEpoch({ count }: Pick<Dataset, "count">, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/**
 * The training batch of a step, counted from 0 over the whole run. It is a pure function of (data set,
 * settings, step).
 *
 * Every epoch shuffles the images anew. Unless they are spread, its last batch is the smaller rest, as in the
 * author's loader (fb.resnet.torch, dataloader.lua: `torch.randperm`, `math.min(batchSize, size - idx + 1)`).
 * So every image is seen once in an epoch, and the cosine of the learning rate counts ceil(count / batchSize)
 * steps in each.
 *
 * With the paper's augmentation an image is flipped with probability 1/2, then cropped at one of 9 x 9 places
 * after padding by 4 pixels. The author pads with zeros after normalising (transforms.lua: RandomCrop), which
 * in raw pixels is the data set's mean, here rounded.
 */
export function trainBatch(
  dataset: Dataset,
  { seed, batchSize, lastBatch, augmentation = paperAugmentation }: TrainBatchSettings,
  step: number,
): TrainBatch {
  const perEpoch = stepsPerEpoch(dataset, batchSize);
  const epoch = Math.floor(step / perEpoch);
  const [first, end] = placesOf(step % perEpoch, dataset.count, { batchSize, lastBatch });
  const order = epochOrder(dataset, seed, epoch).subarray(first, end);
  const augment = augmenter(dataset, seed, augmentation);
  const pixels = pixelsOf(dataset.size);
  const images = new Uint8Array(order.length * pixels);
  order.forEach((source, i) => {
    augment({ source, epoch, place: first + i }, images.subarray(i * pixels, (i + 1) * pixels));
  });
  return { images, labels: BigInt64Array.from(order, (source) => BigInt(at(dataset.labels, source))) };
}

/** The places of a step's images in the order of its epoch: the first one, and the one behind the last. */
function placesOf(
  step: number,
  count: number,
  { batchSize, lastBatch }: Pick<TrainBatchSettings, "batchSize" | "lastBatch">,
): readonly [first: number, end: number] {
  if (lastBatch !== "spread") return [step * batchSize, Math.min(count, (step + 1) * batchSize)];
  const steps = stepsPerEpoch({ count }, batchSize);
  // the larger batches come first, so that batches of one size follow each other
  const placeOf = (at: number) => at * Math.floor(count / steps) + Math.min(at, count % steps);
  return [placeOf(step), placeOf(step + 1)];
}

interface EpochOrder {
  readonly seed: number;
  readonly epoch: number;
  readonly order: Uint32Array;
}

const latestOrder = new WeakMap<Dataset, EpochOrder>();

/**
 * The order of the images in an epoch. The latest order of each data set is cached, because all steps of an
 * epoch need it.
 */
function epochOrder(dataset: Dataset, seed: number, epoch: number): Uint32Array {
  const latest = latestOrder.get(dataset);
  if (latest?.seed === seed && latest.epoch === epoch) return latest.order;
  const order = new RandomStream(seed, "order").permutation(dataset.count, epoch);
  latestOrder.set(dataset, { seed, epoch, order });
  return order;
}

/**
 * The images of a data set in their order, without crops and flips. A batch is a view of the data set, not a
 * copy. The last one may be smaller.
 */
export function* evalBatches(
  { images, labels, count, size }: Dataset,
  batchSize: number,
): Generator<EvaluationBatch> {
  const pixels = pixelsOf(size);
  for (let first = 0; first < count; first += batchSize) {
    const last = Math.min(first + batchSize, count);
    yield {
      images: images.subarray(first * pixels, last * pixels),
      labels: BigInt64Array.from(labels.subarray(first, last), BigInt),
    };
  }
}
