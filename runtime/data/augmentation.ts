import { at } from "../../graph-builder/at.ts";
import { RandomStream } from "../../graph-builder/random.ts";
import { type Dataset, type ImageSize, pixelsOf } from "./types.ts";

/** Which training images are mirrored, and what fills the border of a moved one. */
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
  const fillBorder = border === "mean" ? meanBorder(padding) : reflectedBorder;
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
    const image = images.subarray(source * pixels, (source + 1) * pixels);
    moveImage(image, out, size, shift, fillBorder);
    if (cutout > 0) cutSquare(out, size, padding, cutout, squares.integer(index, size.height * size.width));
  };
}

/** How far an image is moved right and down, and whether it is mirrored first. */
interface Shift {
  readonly left: number;
  readonly top: number;
  readonly isMirrored: boolean;
}

/** An image that was moved, and which of its rows and columns the old one covers. */
interface Moved {
  readonly out: Uint8Array;
  /** The image before it was moved. */
  readonly source: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly top: number;
  readonly left: number;
  readonly rows: readonly [first: number, end: number];
  readonly columns: readonly [first: number, end: number];
}

type FillBorder = (moved: Moved, channel: number) => void;

/**
 * Moves an image. A channel is copied as one block, which is several times faster than row by row, and what
 * it wraps around is overwritten with the border.
 */
function moveImage(
  image: Uint8Array,
  out: Uint8Array,
  { channels, height, width }: ImageSize,
  { left, top, isMirrored }: Shift,
  fillBorder: FillBorder,
): void {
  const area = height * width;
  const source = isMirrored ? mirrored(image, width) : image;
  const rows = covered(top, height);
  const columns = covered(left, width);
  const distance = top * width + left;
  const isCovered = rows[0] < rows[1] && columns[0] < columns[1];
  const moved = { out, source, width, height, top, left, rows, columns };
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * area;
    if (isCovered) {
      const block = source.subarray(start + Math.max(0, -distance), start + area - Math.max(0, distance));
      out.set(block, start + Math.max(0, distance));
    }
    fillBorder(moved, channel);
  }
}

/** The part of [0, length) that [shift, shift + length) covers. */
function covered(shift: number, length: number): readonly [first: number, end: number] {
  return [Math.max(0, Math.min(length, shift)), Math.max(0, Math.min(length, length + shift))];
}

let scratch = new Uint8Array();

/** The image with every row in the other order, in memory that the next call overwrites. */
function mirrored(image: Uint8Array, width: number): Uint8Array {
  if (scratch.length !== image.length) scratch = new Uint8Array(image.length);
  for (let row = 0; row < image.length; row += width) {
    for (let from = row, to = row + width - 1; to >= row; from++, to--) scratch[to] = image[from] ?? 0;
  }
  return scratch;
}

/** Fills the border with the padding's colour. */
function meanBorder(padding: readonly number[]): FillBorder {
  return ({ out, width, height, rows: [firstRow, endRow], columns: [first, end] }, channel) => {
    const value = at(padding, channel);
    const start = channel * height * width;
    if (firstRow > 0) out.fill(value, start, start + firstRow * width);
    if (endRow < height) out.fill(value, start + endRow * width, start + height * width);
    for (let row = firstRow; row < endRow; row++) {
      const from = start + row * width;
      for (let column = 0; column < first; column++) out[from + column] = value;
      for (let column = end; column < width; column++) out[from + column] = value;
    }
  };
}

/** Fills the border with the image's reflection, without the pixels at its edge twice. */
function reflectedBorder(moved: Moved, channel: number): void {
  const { out, source, width, height, top, left, rows, columns } = moved;
  const [first, end] = columns;
  for (let row = 0; row < height; row++) {
    const from = (channel * height + reflected(row - top, height)) * width;
    const to = (channel * height + row) * width;
    const isOutside = row < rows[0] || row >= rows[1];
    if (isOutside) out.set(source.subarray(from + first - left, from + end - left), to + first);
    for (let column = 0; column < first; column++) {
      out[to + column] = source[from + reflected(column - left, width)] ?? 0;
    }
    for (let column = end; column < width; column++) {
      out[to + column] = source[from + reflected(column - left, width)] ?? 0;
    }
  }
}

/** The index in [0, length) that a place outside of it is the reflection of, between both ends. */
function reflected(place: number, length: number): number {
  const period = Math.max(1, 2 * (length - 1));
  const inside = Math.abs(place) % period;
  return inside < length ? inside : period - inside;
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
