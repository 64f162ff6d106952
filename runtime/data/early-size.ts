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

/** Steps of a run, one after the other, whose images have one size. */
export interface SizedSteps {
  /** The number of the first step, counted from 0 over the whole run. */
  readonly first: number;
  readonly count: number;
  /** Whether their images have the size of the first epochs. */
  readonly isEarly: boolean;
}

/** The steps from `done` to the end of a run, one entry for each size of their images. */
export function stepsBySize(
  done: number,
  run: { readonly stepsPerEpoch: number; readonly epochs: number },
  early: EarlySize | undefined,
): SizedSteps[] {
  const end = run.epochs * run.stepsPerEpoch;
  const change = Math.min(end, Math.max(done, (early?.epochs ?? 0) * run.stepsPerEpoch));
  return [
    { first: done, count: change - done, isEarly: true },
    { first: change, count: end - change, isEarly: false },
  ].filter(({ count }) => count > 0);
}
