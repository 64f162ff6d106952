import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { luma } from "../../runtime/data/luma.ts";
import { type ImageSize, pixelsOf } from "../../runtime/data/types.ts";
import { imageShape } from "../../shakenet/network.ts";
import type { PictureForm } from "../calls/model.ts";

const [channels, height, width] = imageShape;

/** How the networks that the page trains are given pictures: three colours, 32 x 32, laid on white. */
export const ownForm: PictureForm = { size: { channels, height, width }, background: [255, 255, 255] };

/** What a picture is drawn from, and its size. */
interface Source {
  readonly image: CanvasImageSource;
  readonly width: number;
  readonly height: number;
}

/** A picture, for networks that take pictures of any size. */
export class Picture {
  readonly name: string;
  readonly #source: () => Source;
  readonly #given: { readonly pixels: Uint8Array; readonly size: ImageSize } | undefined;
  readonly #made = new WeakMap<PictureForm, Uint8Array>();

  private constructor(name: string, source: () => Source, given?: { pixels: Uint8Array; size: ImageSize }) {
    [this.name, this.#source, this.#given] = [name, source, given];
  }

  /** A picture of raw pixels uint8 [3, height, width]; 32 x 32 where no size is given. */
  static ofPixels(name: string, pixels: Uint8Array, size: ImageSize = ownForm.size): Picture {
    const draw = () => {
      const { canvas } = newContext(size.width, size.height);
      canvas.getContext("2d")?.putImageData(imageOf(pixels, size), 0, 0);
      return { image: canvas, width: size.width, height: size.height };
    };
    return new Picture(name, draw, { pixels, size });
  }

  /** A copy of an image, whose shorter side is at most 1024 pixels. */
  static ofImage(name: string, image: CanvasImageSource, width: number, height: number): Picture {
    const scale = Math.min(1, KEPT / Math.min(width, height));
    const [w, h] = [width, height].map((side) => Math.max(1, Math.min(4 * KEPT, Math.round(scale * side))));
    const kept = { width: w ?? 1, height: h ?? 1 };
    const { canvas } = scaled(image, width, height, kept);
    return new Picture(name, () => ({ image: canvas, ...kept }));
  }

  /** Raw pixels uint8 [channels, height, width]: the middle of the picture fills the size. */
  pixelsIn(form: PictureForm): Uint8Array {
    if (this.#given && isSame(this.#given.size, form.size)) return this.#given.pixels;
    const known = this.#made.get(form);
    if (known) return known;
    const { image, width, height } = this.#source();
    const pixels = shrink(image, width, height, form);
    this.#made.set(form, pixels);
    return pixels;
  }
}

/** The shorter side of a picture that the page keeps, in pixels. */
const KEPT = 1024;

function isSame(a: ImageSize, b: ImageSize): boolean {
  return a.channels === b.channels && a.height === b.height && a.width === b.width;
}

/** Reads a picture. Throws UserError for a file that is not one. */
export function readPicture(file: Blob, name: string): Promise<Picture> {
  return withPicture(file, name, async (source, width, height) =>
    Picture.ofImage(name, source, width, height),
  );
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
    const context = newContext(width ?? DRAWING, height ?? DRAWING);
    context.drawImage(image, 0, 0, context.canvas.width, context.canvas.height);
    return await task(context.canvas, context.canvas.width, context.canvas.height);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/** The middle of an image as a network takes it; 3 x 32 x 32 where no form is given. */
export function shrink(
  source: CanvasImageSource,
  width: number,
  height: number,
  { size, background }: PictureForm = ownForm,
): Uint8Array {
  const context = scaled(source, width, height, size, size.channels === 4 ? undefined : background);
  return planes(context.getImageData(0, 0, size.width, size.height).data, size);
}

/**
 * The middle of an image, scaled so that it fills a size, on a canvas. The image is halved step by step, so
 * that every pixel of it counts. Transparent pixels get the colour of the background, where one is given.
 */
export function scaled(
  source: CanvasImageSource,
  width: number,
  height: number,
  target: Pick<ImageSize, "width" | "height">,
  background?: readonly number[],
): OffscreenCanvasRenderingContext2D {
  const scale = Math.min(width / target.width, height / target.height);
  let [columns, rows] = [target.width * scale, target.height * scale];
  let [left, top] = [(width - columns) / 2, (height - rows) / 2];
  let image = source;
  for (;;) {
    const next = [
      Math.max(target.width, Math.floor(columns / 2)),
      Math.max(target.height, Math.floor(rows / 2)),
    ] as const;
    const context = newContext(...next);
    if (background) {
      const [red = 0, green = red, blue = red] = background;
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.fillRect(0, 0, ...next);
    }
    context.imageSmoothingQuality = "high";
    context.drawImage(image, left, top, columns, rows, 0, 0, ...next);
    if (next[0] === target.width && next[1] === target.height) return context;
    [image, columns, rows, left, top] = [context.canvas, ...next, 0, 0];
  }
}

function newContext(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context) return context;
  throw new UserError("This browser cannot draw pictures.", { code: "browser-unsupported" });
}

/** Red, green and blue; their luma for one channel; and alpha too for four. */
function planes(rgba: Uint8ClampedArray, { channels, height, width }: ImageSize): Uint8Array {
  const area = height * width;
  const pixels = new Uint8Array(channels * area);
  for (let i = 0; i < area; i++) {
    const value = (channel: number) => at(rgba, 4 * i + channel);
    if (channels === 1) pixels[i] = luma(value(0), value(1), value(2));
    else for (let channel = 0; channel < channels; channel++) pixels[channel * area + i] = value(channel);
  }
  return pixels;
}

function imageOf(pixels: Uint8Array, { channels, height, width }: ImageSize): ImageData {
  const image = new ImageData(width, height);
  const area = height * width;
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = at(pixels, (channel % channels) * area + i);
    }
    image.data[4 * i + 3] = channels === 4 ? at(pixels, 3 * area + i) : 255;
  }
  return image;
}

/** Draws a picture on a canvas as a network sees it. */
export function paint(canvas: HTMLCanvasElement, picture: Picture, form: PictureForm = ownForm): void {
  const { size } = form;
  [canvas.width, canvas.height] = [size.width, size.height];
  canvas.getContext("2d")?.putImageData(imageOf(picture.pixelsIn(form), size), 0, 0);
  canvas.setAttribute("aria-label", picture.name);
}

/** A canvas with a picture. Screen readers skip it, because the button around it has a label. */
export function thumbnail(picture: Picture, form: PictureForm = ownForm): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  paint(canvas, picture, form);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

/** Splits images uint8 [count, 3, 32, 32] into pictures. */
export function picturesOf(images: Uint8Array, names: readonly string[]): Picture[] {
  const size = pixelsOf(ownForm.size);
  return names.map((name, i) => Picture.ofPixels(name, images.slice(i * size, (i + 1) * size)));
}
