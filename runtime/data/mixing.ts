import { RandomStream } from "../../graph-builder/random.ts";
import type { TrainBatch } from "./batches.ts";
import { type ImageSize, pixelsOf } from "./types.ts";

/** How the images of a batch are mixed in pairs, and their labels with them. */
export interface Mixing {
  /**
   * Both images are blended; the share of the first one is drawn from Beta(mixup, mixup) for each batch
   * (Zhang et al. 2018, arXiv 1710.09412). 0 for none.
   */
  readonly mixup: number;
  /**
   * A box of one image is put into the other; the share of the area outside of it is drawn from Beta(cutmix,
   * cutmix) for each batch (Yun et al. 2019, arXiv 1905.04899). 0 for none. With mixup too, every batch is
   * mixed in one of the two ways.
   */
  readonly cutmix: number;
  /** The number of classes. */
  readonly classes: number;
}

/** Images, and for each the shares of all classes, float [batch, classes]. */
export interface SoftBatch {
  readonly images: Uint8Array;
  readonly labels: Float32Array<ArrayBuffer>;
}

/**
 * Mixes every image of a batch with another one of it. The result depends on the batch, the settings, the
 * seed and the step alone. Blended pixels are rounded.
 */
export function mixBatch(
  { images, labels }: TrainBatch,
  size: ImageSize,
  { mixup, cutmix, classes }: Mixing,
  seed: number,
  step: number,
): SoftBatch {
  const count = labels.length;
  const draws = new RandomStream(seed, "mixing");
  const partners = new RandomStream(seed, "mixing partners").permutation(count, step);
  const isBlend = cutmix === 0 || (mixup > 0 && draws.uniform(step * 4) < 0.5);
  const drawn = beta(new RandomStream(seed, "mixing shares"), isBlend ? mixup : cutmix, step);
  const out = images.slice();
  const box = boxOf(size, drawn, [draws.uniform(step * 4 + 1), draws.uniform(step * 4 + 2)]);
  const share = isBlend
    ? drawn
    : 1 - ((box.bottom - box.top) * (box.right - box.left)) / (size.height * size.width);
  const pixels = pixelsOf(size);
  const soft = new Float32Array(count * classes);
  for (let i = 0; i < count; i++) {
    const j = partners[i] ?? i;
    const [own, other] = [
      out.subarray(i * pixels, (i + 1) * pixels),
      images.subarray(j * pixels, (j + 1) * pixels),
    ];
    if (isBlend) blend(own, other, share);
    else paste(own, other, size, box);
    for (const [index, part] of [[i, share] as const, [j, 1 - share] as const]) {
      const place = i * classes + Number(labels[index]);
      soft[place] = (soft[place] ?? 0) + part;
    }
  }
  return { images: out, labels: soft };
}

/** The labels of a batch as shares of the classes, float [batch, classes]. */
export function oneHot(labels: BigInt64Array, classes: number): Float32Array<ArrayBuffer> {
  const soft = new Float32Array(labels.length * classes);
  for (const [i, label] of labels.entries()) soft[i * classes + Number(label)] = 1;
  return soft;
}

function blend(own: Uint8Array, other: Uint8Array, share: number): void {
  for (let i = 0; i < own.length; i++) {
    own[i] = Math.round(share * (own[i] ?? 0) + (1 - share) * (other[i] ?? 0));
  }
}

/** Rows from `top` to before `bottom` and columns from `left` to before `right`. */
interface Box {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** A box around a centre that leaves about a share of the image; what is outside of the image is cut off. */
function boxOf({ height, width }: ImageSize, share: number, [y, x]: readonly [number, number]): Box {
  const scale = Math.sqrt(1 - share);
  const side = (length: number, centre: number): readonly [number, number] => {
    const half = Math.floor((length * scale) / 2);
    const middle = Math.floor(centre * length);
    return [Math.max(0, middle - half), Math.min(length, middle + half)];
  };
  const [[top, bottom], [left, right]] = [side(height, y), side(width, x)];
  return { top, bottom, left, right };
}

function paste(own: Uint8Array, other: Uint8Array, { channels, height, width }: ImageSize, box: Box): void {
  for (let channel = 0; channel < channels; channel++) {
    for (let row = box.top; row < box.bottom; row++) {
      const start = (channel * height + row) * width;
      own.set(other.subarray(start + box.left, start + box.right), start + box.left);
    }
  }
}

/** The most random numbers that a draw of a gamma variable may take. */
const DRAWS = 1024;

/** A number of Beta(alpha, alpha): the share of one of two gamma variables. */
function beta(stream: RandomStream, alpha: number, step: number): number {
  const [a, b] = [gamma(stream, alpha, 2 * step * DRAWS), gamma(stream, alpha, (2 * step + 1) * DRAWS)];
  return a + b > 0 ? a / (a + b) : 0.5;
}

/**
 * A gamma variable of a shape by Marsaglia and Tsang (2000), from the random numbers behind an index; below 1
 * it is one of shape + 1 times a power of a uniform number.
 */
function gamma(stream: RandomStream, shape: number, index: number): number {
  if (shape < 1) return gamma(stream, shape + 1, index + 4) * (1 - stream.uniform(index)) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let i = index; i < index + DRAWS - 8; i += 4) {
    const x = stream.normal(i);
    const v = (1 + c * x) ** 3;
    const u = 1 - stream.uniform(i + 2);
    if (v > 0 && Math.log(u) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
  return d;
}
