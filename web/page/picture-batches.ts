import { pixelsOf } from "../../runtime/data/types.ts";
import type { PictureForm } from "../calls/model.ts";
import type { Picture } from "./pictures.ts";

/** Values of pictures that the worker is given in one call. */
const MOST_VALUES = 2 ** 22;

/** Pictures as a network takes them, uint8 [count, channels, height, width], in parts of a bounded size. */
export function batchesOf(
  pictures: readonly Picture[],
  form: PictureForm,
): { readonly images: Uint8Array; readonly count: number }[] {
  const most = Math.max(1, Math.floor(MOST_VALUES / pixelsOf(form.size)));
  const batches = [];
  for (let first = 0; first < pictures.length; first += most) {
    const part = pictures.slice(first, first + most);
    batches.push({ images: imagesOf(part, form), count: part.length });
  }
  return batches;
}

/** Pictures as a network takes them, uint8 [count, channels, height, width]. */
export function imagesOf(pictures: readonly Picture[], form: PictureForm): Uint8Array {
  const size = pixelsOf(form.size);
  const images = new Uint8Array(pictures.length * size);
  for (const [i, picture] of pictures.entries()) images.set(picture.pixelsIn(form), i * size);
  return images;
}
