import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { imageShape } from "../../shakenet/network.ts";

const [CHANNELS, SIZE] = imageShape;
const AREA = SIZE * SIZE;

/** A picture in the size of the network's input. */
export interface Picture {
  readonly name: string;
  /** Raw pixels uint8 [3, 32, 32]. */
  readonly pixels: Uint8Array;
}

/** Reads the middle square of a picture in 32 x 32. Throws UserError for a file that is not a picture. */
export function readPicture(file: Blob, name: string): Promise<Picture> {
  return withPicture(file, name, async (source, width, height) => ({
    name,
    pixels: shrink(source, width, height),
  }));
}

/** What is made of an image that was read. */
type ImageTask<T> = (source: CanvasImageSource, width: number, height: number) => Promise<T>;

/** Reads a picture and does a task with it. Throws UserError for a file that is not a picture. */
export async function withPicture<T>(file: Blob, name: string, task: ImageTask<T>): Promise<T> {
  try {
    return await withBitmap(file, task).catch(() => withImage(file, task));
  } catch {
    throw new UserError(`${name} is not a picture that this browser can read.`, {
      code: "picture-unreadable",
      details: { name },
    });
  }
}

async function withBitmap<T>(file: Blob, task: ImageTask<T>): Promise<T> {
  const bitmap = await createImageBitmap(file);
  try {
    return await task(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** The shorter side of a drawing, in pixels. */
const DRAWING = 512;

/** Draws what only an image element reads, such as SVG, whose size may depend on where it is drawn. */
async function withImage<T>(file: Blob, task: ImageTask<T>): Promise<T> {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const { naturalWidth, naturalHeight } = image;
    const scale = DRAWING / (Math.min(naturalWidth, naturalHeight) || DRAWING);
    const [width, height] = [naturalWidth, naturalHeight].map((side) => Math.round(scale * side) || DRAWING);
    const context = new OffscreenCanvas(width ?? DRAWING, height ?? DRAWING).getContext("2d");
    if (!context) throw new UserError("This browser cannot draw pictures.", { code: "browser-unsupported" });
    context.drawImage(image, 0, 0, context.canvas.width, context.canvas.height);
    return await task(context.canvas, context.canvas.width, context.canvas.height);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/**
 * Scales the middle square of an image to 32 x 32 raw pixels. The size is halved step by step, so that every
 * pixel of the source counts.
 */
export function shrink(source: CanvasImageSource, width: number, height: number): Uint8Array {
  return planes(square(source, width, height, SIZE).getImageData(0, 0, SIZE, SIZE).data);
}

/** The middle square of an image, scaled to `target` pixels a side, on a canvas. */
export function square(
  source: CanvasImageSource,
  width: number,
  height: number,
  target: number,
): OffscreenCanvasRenderingContext2D {
  let side = Math.min(width, height);
  let [left, top] = [(width - side) / 2, (height - side) / 2];
  let image = source;
  for (;;) {
    const next = Math.max(target, Math.floor(side / 2));
    const context = new OffscreenCanvas(next, next).getContext("2d", { willReadFrequently: next === target });
    if (!context) throw new UserError("This browser cannot draw pictures.", { code: "browser-unsupported" });
    // transparent pixels become white
    context.fillStyle = "white";
    context.fillRect(0, 0, next, next);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, left, top, side, side, 0, 0, next, next);
    if (next === target) return context;
    [image, side, left, top] = [context.canvas, next, 0, 0];
  }
}

function planes(rgba: Uint8ClampedArray): Uint8Array {
  const pixels = new Uint8Array(CHANNELS * AREA);
  for (let i = 0; i < AREA; i++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      pixels[channel * AREA + i] = at(rgba, 4 * i + channel);
    }
  }
  return pixels;
}

/** Draws a picture on a canvas of 32 x 32. */
export function paint(canvas: HTMLCanvasElement, { name, pixels }: Picture): void {
  const image = new ImageData(SIZE, SIZE);
  for (let i = 0; i < AREA; i++) {
    for (let channel = 0; channel < CHANNELS; channel++) {
      image.data[4 * i + channel] = at(pixels, channel * AREA + i);
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  canvas.setAttribute("aria-label", name);
}

/** A canvas with a picture. Screen readers skip it, because the button around it has a label. */
export function thumbnail(picture: Picture): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  paint(canvas, picture);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** Splits images uint8 [count, 3, 32, 32] into pictures. */
export function picturesOf(images: Uint8Array, names: readonly string[]): Picture[] {
  const size = CHANNELS * AREA;
  return names.map((name, i) => ({ name, pixels: images.slice(i * size, (i + 1) * size) }));
}
