import type { ImageSize } from "./types.ts";

/** Smaller or larger training images in the first epochs of a run (progressive resizing). */
export interface EarlySize {
  /** The height and the width of the images, in pixels. */
  readonly side: number;
  readonly epochs: number;
}

/** The size of the training images of an epoch, counted from 0. */
export function sizeInEpoch(size: ImageSize, early: EarlySize | undefined, epoch: number): ImageSize {
  if (!early || epoch >= early.epochs) return size;
  return { ...size, height: early.side, width: early.side };
}
