import type { Checkpoint } from "../artifacts/checkpoint.ts";
import { at } from "../graph-builder/at.ts";
import { Tensor } from "../graph-builder/index.ts";
import { type Dataset, pixelsOf } from "../runtime/data/types.ts";
import { type NetworkSettings, STEM_FILTERS, whiteningKernel } from "./network.ts";

/** The number of images that the second moment is measured on: 900,000 patches and more. */
const IMAGES = 1000;

/** Keeps the filters of directions without variance finite (Jordan's airbench: eps=5e-4). */
const EPSILON = 5e-4;

/**
 * Puts the filters of a whitening stem into a network's first checkpoint: they follow from the first training
 * images, in their order. Does nothing for the paper's stem.
 */
export function setWhitening(
  checkpoint: Pick<Checkpoint, "frozen">,
  settings: NetworkSettings,
  dataset: Dataset,
): void {
  const kernel = whiteningKernel(settings);
  if (kernel !== undefined) checkpoint.frozen.set(STEM_FILTERS, whiteningFilters(dataset, settings, kernel));
}

/**
 * The filters that whiten patches of kernel x kernel pixels: the eigenvectors of the patches' second moment,
 * each divided by the square root of its eigenvalue, and then all of them again with the other sign. Float
 * [2 channels kernel^2, channels, kernel, kernel]. The pixels are normalised as the network does it.
 */
export function whiteningFilters(
  dataset: Dataset,
  normalization: Pick<NetworkSettings, "mean" | "std">,
  kernel: number,
): Tensor {
  const moments = patchMoments(dataset, normalization, kernel);
  const { values, vectors } = eigen(moments);
  const size = values.length;
  const data = new Float32Array(2 * size * size);
  for (const [i, value] of values.entries()) {
    const scale = 1 / Math.sqrt(value + EPSILON);
    for (let j = 0; j < size; j++) {
      const weight = at(at(vectors, i), j) * scale;
      data[i * size + j] = weight;
      data[(size + i) * size + j] = -weight;
    }
  }
  return new Tensor("float", [2 * size, dataset.size.channels, kernel, kernel], data);
}

/** The mean of x x' over all patches x of the first images, [channels, kernel, kernel] in one row. */
function patchMoments(
  { images, size, count }: Dataset,
  { mean, std }: Pick<NetworkSettings, "mean" | "std">,
  kernel: number,
): number[][] {
  const { channels, height, width } = size;
  const length = channels * kernel ** 2;
  const sums = new Float64Array(length * length);
  const patch = new Float64Array(length);
  const used = Math.min(count, IMAGES);
  for (let image = 0; image < used; image++) {
    const pixels = normalised(
      images.subarray(image * pixelsOf(size), (image + 1) * pixelsOf(size)),
      mean,
      std,
    );
    for (let top = 0; top + kernel <= height; top++) {
      for (let left = 0; left + kernel <= width; left++) {
        copyPatch(pixels, patch, { top, left, kernel, height, width });
        addSquare(sums, patch);
      }
    }
  }
  const patches = used * (height - kernel + 1) * (width - kernel + 1);
  return Array.from({ length }, (_, i) =>
    Array.from({ length }, (_, j) => at(sums, Math.min(i, j) * length + Math.max(i, j)) / patches),
  );
}

function normalised(pixels: Uint8Array, mean: readonly number[], std: readonly number[]): Float64Array {
  const area = pixels.length / mean.length;
  return Float64Array.from(pixels, (pixel, i) => {
    const channel = Math.floor(i / area);
    return (pixel - at(mean, channel)) / at(std, channel);
  });
}

interface Window {
  readonly top: number;
  readonly left: number;
  readonly kernel: number;
  readonly height: number;
  readonly width: number;
}

/** Copies a window of an image [channels, height, width] into a row [channels, kernel, kernel]. */
function copyPatch(
  pixels: Float64Array,
  patch: Float64Array,
  { top, left, kernel, height, width }: Window,
): void {
  for (let to = 0; to < patch.length; to += kernel) {
    const line = to / kernel;
    const row = Math.floor(line / kernel) * height + top + (line % kernel);
    for (let column = 0; column < kernel; column++) {
      patch[to + column] = pixels[row * width + left + column] ?? 0;
    }
  }
}

/** Adds x x' to the upper triangle of a square matrix. */
function addSquare(sums: Float64Array, x: Float64Array): void {
  const { length } = x;
  for (let i = 0; i < length; i++) {
    const value = x[i] ?? 0;
    for (let j = i; j < length; j++) sums[i * length + j] = (sums[i * length + j] ?? 0) + value * (x[j] ?? 0);
  }
}

/**
 * The eigenvalues of a symmetric matrix, the largest first, with their unit eigenvectors, by Jacobi's cyclic
 * rotations (Golub and Van Loan, Matrix Computations, section 8.5).
 */
export function eigen(symmetric: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const size = symmetric.length;
  const a = symmetric.map((row) => Float64Array.from(row));
  const v = symmetric.map((_, i) => Float64Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 64 && offDiagonal(a) > 0; sweep++) {
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(a, v, p, q);
  }
  const order = Array.from({ length: size }, (_, i) => i).sort((i, j) => at(at(a, j), j) - at(at(a, i), i));
  return {
    values: order.map((i) => at(at(a, i), i)),
    vectors: order.map((i) => v.map((row) => at(row, i))),
  };
}

/** The sum of the squares outside the diagonal, or 0 where it does not count beside the diagonal. */
function offDiagonal(a: readonly Float64Array[]): number {
  let [off, diagonal] = [0, 0];
  for (const [i, row] of a.entries()) {
    for (const [j, value] of row.entries()) {
      if (i === j) diagonal += value ** 2;
      else off += value ** 2;
    }
  }
  return off < 1e-30 * diagonal ? 0 : off;
}

/** Rotates axes p and q of a so that a[p][q] becomes 0, and collects the rotation in the columns of v. */
function rotate(a: readonly Float64Array[], v: readonly Float64Array[], p: number, q: number): void {
  const pq = at(at(a, p), q);
  if (pq === 0) return;
  const theta = (at(at(a, q), q) - at(at(a, p), p)) / (2 * pq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta ** 2 + 1));
  const c = 1 / Math.sqrt(t ** 2 + 1);
  const s = t * c;
  const turn = (row: Float64Array) => {
    const [x, y] = [at(row, p), at(row, q)];
    row[p] = c * x - s * y;
    row[q] = s * x + c * y;
  };
  for (const row of a) turn(row);
  const [ap, aq] = [at(a, p), at(a, q)];
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [at(ap, k), at(aq, k)];
    ap[k] = c * x - s * y;
    aq[k] = s * x + c * y;
  }
  for (const row of v) turn(row);
}
