import { UserError } from "../../graph-builder/errors.ts";
import { imageShape } from "../../shakenet/network.ts";

const [CHANNELS, SIZE] = imageShape;
const AREA = SIZE * SIZE;

/** A picture as the network takes it. */
export interface Picture {
  readonly name: string;
  /** Raw pixels uint8 [3, 32, 32]. */
  readonly pixels: Uint8Array;
}

/** The middle square of a picture's file, made 32 x 32. Throws UserError for a file that is no picture. */
export async function readPicture(file: Blob, name: string): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new UserError(`${name} is not a picture that this browser can read.`);
  }
  const picture = { name, pixels: shrink(bitmap, bitmap.width, bitmap.height) };
  bitmap.close();
  return picture;
}

/** The middle square of what can be drawn, as pixels; halved step by step, so that no pixel of it is passed over. */
export function shrink(source: CanvasImageSource, width: number, height: number): Uint8Array {
  let side = Math.min(width, height);
  let [left, top] = [(width - side) / 2, (height - side) / 2];
  let image = source;
  for (;;) {
    const next = Math.max(SIZE, Math.floor(side / 2));
    const context = new OffscreenCanvas(next, next).getContext("2d", { willReadFrequently: next === SIZE });
    if (!context) throw new UserError("This browser cannot draw pictures.");
    // what is transparent lies on white
    context.fillStyle = "white";
    context.fillRect(0, 0, next, next);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, left, top, side, side, 0, 0, next, next);
    if (next === SIZE) return planes(context.getImageData(0, 0, SIZE, SIZE).data);
    [image, side, left, top] = [context.canvas, next, 0, 0];
  }
}

function planes(rgba: Uint8ClampedArray): Uint8Array {
  const pixels = new Uint8Array(CHANNELS * AREA);
  for (let i = 0; i < AREA; i++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      pixels[channel * AREA + i] = rgba[4 * i + channel] ?? 0;
    }
  }
  return pixels;
}

/** Draws a picture on a canvas of 32 x 32. */
export function paint(canvas: HTMLCanvasElement, { name, pixels }: Picture): void {
  const image = new ImageData(SIZE, SIZE);
  for (let i = 0; i < AREA; i++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      image.data[4 * i + channel] = pixels[channel * AREA + i] ?? 0;
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", name);
}

/** A small canvas with a picture, for a button that says its name itself. */
export function thumbnail(picture: Picture): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  paint(canvas, picture);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** The pictures of a data set, one by one. */
export function picturesOf(images: Uint8Array, names: readonly string[]): Picture[] {
  const size = CHANNELS * AREA;
  return names.map((name, i) => ({ name, pixels: images.slice(i * size, (i + 1) * size) }));
}
