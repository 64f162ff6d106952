import { RandomStream } from "../../graph-builder/random.ts";
import { type Dataset, type ImageSize, pixelsOf } from "./types.ts";

export const flips = ["random", "alternating", "none"] as const;
export const borders = ["mean", "reflect"] as const;

/** How a training image is changed before it is fed. */
export interface Augmentation {
  /**
   * Which images are mirrored: each with probability 1/2; or alternating, where a draw for each image decides
   * about its even epochs, and its odd epochs are the other way round (Jordan 2024, arXiv 2404.00498: two
   * epochs in a row show an image both ways); or none.
   */
  readonly flip: (typeof flips)[number];
  /** The number of pixels that an image is moved at most along each axis, 0 to 16. */
  readonly translate: number;
  /** What fills the border of a moved image: the rounded mean of the data set, or the image's reflection. */
  readonly border: (typeof borders)[number];
  /**
   * The side in pixels of a square that is overwritten by the data set's mean (DeVries and Taylor 2017, arXiv
   * 1708.04552). Its centre may be any pixel, so a part of it may lie outside the image. 0 for none.
   */
  readonly cutout: number;
}

/** The augmentation of the paper's code: random flips, and crops after padding by 4 pixels. */
export const paperAugmentation: Augmentation = { flip: "random", translate: 4, border: "mean", cutout: 0 };

/** Which image is shown, and when. */
export interface Showing {
  /** The image's index in its data set. */
  readonly source: number;
  readonly epoch: number;
  /** The image's place in the order of its epoch. */
  readonly place: number;
}

/**
 * Returns the function that writes the augmented image of a showing. What it writes depends on the data set,
 * the seed and the showing alone.
 */
export function augmenter(
  dataset: Dataset,
  seed: number,
  { flip, translate, border, cutout }: Augmentation,
): (showing: Showing, out: Uint8Array) => void {
  const { size, images, count } = dataset;
  const pixels = pixelsOf(size);
  const padding = dataset.mean.map(Math.round);
  const places = 2 * translate + 1;
  const draws = new RandomStream(seed, "augment");
  const directions = new RandomStream(seed, "flip");
  const squares = new RandomStream(seed, "cutout");
  const move = border === "mean" ? moveOverMean : moveReflected;
  return ({ source, epoch, place }, out) => {
    const index = epoch * count + place;
    const choice = draws.integer(index, 2 * places * places);
    const isDrawn = choice % 2 === 1;
    const isTurn = flip === "alternating" && (directions.uint32(source) + epoch) % 2 === 1;
    const shift = {
      left: translate - ((choice >> 1) % places),
      top: translate - Math.floor((choice >> 1) / places),
      isMirrored: flip === "random" ? isDrawn : isTurn,
    };
    move(images.subarray(source * pixels, (source + 1) * pixels), out, { size, shift, padding });
    if (cutout > 0) cutSquare(out, size, padding, cutout, squares.integer(index, size.height * size.width));
  };
}

/** How far an image is moved right and down, and whether it is mirrored first. */
interface Shift {
  readonly left: number;
  readonly top: number;
  readonly isMirrored: boolean;
}

interface Move {
  readonly size: ImageSize;
  readonly shift: Shift;
  readonly padding: readonly number[];
}

/** Moves an image over a background of the padding's colour. */
function moveOverMean(
  image: Uint8Array,
  out: Uint8Array,
  { size: { height, width }, shift: { left, top, isMirrored }, padding }: Move,
): void {
  const area = height * width;
  const [first, end] = [Math.max(0, left), Math.min(width, width + left)];
  padding.forEach((value, channel) => {
    out.fill(value, channel * area, (channel + 1) * area);
    for (let row = Math.max(0, top); row < Math.min(height, height + top); row++) {
      const to = channel * area + row * width;
      const from = channel * area + (row - top) * width + (isMirrored ? width - 1 + left : -left);
      const step = isMirrored ? -1 : 1;
      for (let column = first; column < end; column++) out[to + column] = image[from + step * column] ?? 0;
    }
  });
}

/** Moves an image that goes on behind its border as its own reflection, without the border's pixels twice. */
function moveReflected(
  image: Uint8Array,
  out: Uint8Array,
  { size: { channels, height, width }, shift: { left, top, isMirrored } }: Move,
): void {
  const columns = Int32Array.from({ length: width }, (_, column) => {
    const from = reflected(column - left, width);
    return isMirrored ? width - 1 - from : from;
  });
  for (let line = 0; line < channels * height; line++) {
    const row = line % height;
    const from = (line - row + reflected(row - top, height)) * width;
    for (let column = 0; column < width; column++) {
      out[line * width + column] = image[from + (columns[column] ?? 0)] ?? 0;
    }
  }
}

/** The index in [0, length) that a place at most length - 1 outside of it is the reflection of. */
function reflected(place: number, length: number): number {
  const inside = Math.abs(place);
  return inside < length ? inside : 2 * (length - 1) - inside;
}

/** Overwrites the part of a square that lies in the image. `centre` is the index of its middle pixel. */
function cutSquare(
  out: Uint8Array,
  { height, width }: ImageSize,
  padding: readonly number[],
  side: number,
  centre: number,
): void {
  const top = Math.floor(centre / width) - Math.floor(side / 2);
  const left = (centre % width) - Math.floor(side / 2);
  const [first, end] = [Math.max(0, left), Math.min(width, left + side)];
  padding.forEach((value, channel) => {
    for (let row = Math.max(0, top); row < Math.min(height, top + side); row++) {
      const start = (channel * height + row) * width;
      out.fill(value, start + first, start + end);
    }
  });
}
