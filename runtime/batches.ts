import { RandomStream } from "../graph-builder/random.ts";
import type { Dataset } from "./data/dataset.ts";

const SIZE = 32;
const AREA = SIZE * SIZE;
const PIXELS = 3 * AREA;
const PAD = 4;
const CROPS = 2 * PAD + 1;

/** What a model is fed: images [batch, 3, 32, 32] in raw pixels 0..255 and labels [batch]. */
export interface Batch {
  readonly images: Uint8Array;
  readonly labels: BigInt64Array;
}

/** How the training batches of a data set are made. */
export interface TrainBatchOptions {
  readonly seed: number;
  /** images of every batch but the last of an epoch */
  readonly batchSize: number;
  /** random crops and flips; true by default */
  readonly augment?: boolean | undefined;
}

/** The number of batches of an epoch, the last of which may be smaller. */
export function stepsPerEpoch(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/**
 * The training batches of a data set, each a pure function of (seed, step) that needs none of the earlier ones.
 *
 * Every epoch takes the images in an order of its own and keeps its last, smaller batch, as the author's loader does
 * (fb.resnet.torch, dataloader.lua: `torch.randperm`, `math.min(batchSize, size - idx + 1)`), so that every image is seen once
 * in an epoch and the cosine of the learning rate counts ceil(count / batchSize) steps in each.
 * An image is flipped with probability 1/2, then cropped at one of 9 x 9 places after padding by 4 pixels. The author pads with
 * zeros after normalising (transforms.lua: RandomCrop), which in raw pixels is the mean of the data set, here rounded.
 */
export class TrainBatches {
  readonly stepsPerEpoch: number;
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  readonly #augment: boolean;
  readonly #order: RandomStream;
  readonly #augmentation: RandomStream;
  readonly #buffers: [Uint8Array, Uint8Array];
  #epoch = -1;
  #permutation = new Uint32Array(0);

  constructor(dataset: Dataset, { seed, batchSize, augment = true }: TrainBatchOptions) {
    this.stepsPerEpoch = stepsPerEpoch(dataset.count, batchSize);
    this.#dataset = dataset;
    this.#batchSize = batchSize;
    this.#augment = augment;
    this.#order = new RandomStream(seed, "order");
    this.#augmentation = new RandomStream(seed, "augment");
    this.#buffers = [new Uint8Array(batchSize * PIXELS), new Uint8Array(batchSize * PIXELS)];
  }

  /**
   * The batch of a step, counted from 0 over the whole run.
   * Its images lie in one of two buffers that are used in turn: they hold until the second call after this one,
   * so the next batch can be made while this one is trained on.
   */
  batch(step: number): Batch {
    const { images, labels, mean, count } = this.#dataset;
    const epoch = Math.floor(step / this.stepsPerEpoch);
    const first = (step % this.stepsPerEpoch) * this.#batchSize;
    const order = this.#orderOf(epoch).subarray(first, first + this.#batchSize);
    this.#buffers.reverse();
    const out = this.#buffers[0].subarray(0, order.length * PIXELS);
    const padding = mean.map(Math.round);
    order.forEach((source, i) => {
      const image = images.subarray(source * PIXELS, (source + 1) * PIXELS);
      const target = out.subarray(i * PIXELS, (i + 1) * PIXELS);
      if (!this.#augment) return target.set(image);
      const choice = this.#augmentation.integer(epoch * count + first + i, 2 * CROPS * CROPS);
      const crop = choice >> 1;
      cropImage(
        image,
        target,
        { x: crop % CROPS, y: Math.floor(crop / CROPS), flip: choice % 2 === 1 },
        padding,
      );
    });
    return { images: out, labels: BigInt64Array.from(order, (source) => BigInt(labels[source] ?? 0)) };
  }

  #orderOf(epoch: number): Uint32Array {
    if (epoch !== this.#epoch) {
      this.#permutation = this.#order.permutation(this.#dataset.count, epoch);
      this.#epoch = epoch;
    }
    return this.#permutation;
  }
}

/** Where an image is cut out of its padded copy, x and y from 0 to 8, and whether it is mirrored before. */
interface Crop {
  readonly x: number;
  readonly y: number;
  readonly flip: boolean;
}

function cropImage(
  image: Uint8Array,
  out: Uint8Array,
  { x, y, flip }: Crop,
  padding: readonly number[],
): void {
  const top = PAD - y;
  const left = PAD - x;
  padding.forEach((value, channel) => {
    out.fill(value, channel * AREA, (channel + 1) * AREA);
    for (let row = Math.max(0, top); row < Math.min(SIZE, SIZE + top); row++) {
      const from = channel * AREA + (row - top) * SIZE;
      const to = channel * AREA + row * SIZE;
      for (let column = Math.max(0, left); column < Math.min(SIZE, SIZE + left); column++) {
        const sourceColumn = flip ? SIZE - 1 - (column - left) : column - left;
        out[to + column] = image[from + sourceColumn] ?? 0;
      }
    }
  });
}

/** The images of a data set as they are and in their order, in batches that are views of it, not copies; the last may be smaller. */
export function* evalBatches({ images, labels, count }: Dataset, batchSize: number): Generator<Batch> {
  for (let first = 0; first < count; first += batchSize) {
    const last = Math.min(first + batchSize, count);
    yield {
      images: images.subarray(first * PIXELS, last * PIXELS),
      labels: BigInt64Array.from(labels.subarray(first, last), BigInt),
    };
  }
}
