import type { Sharp } from "sharp";
import { readFileBytes } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { type ImageSize, pixelsOf } from "../../data/types.ts";

/** The size that a picture is scaled to; 3 channels where left out. */
export type PictureSize = Pick<ImageSize, "height" | "width"> & { readonly channels?: number | undefined };

/**
 * Reads a PNG or JPEG file as uint8 [channels, height, width], 0..255: red, green and blue, or their luma for
 * one channel. The picture is turned as its EXIF data say, cropped to its centre and scaled to the size;
 * transparent pixels become white.
 * Throws UserError where sharp is not installed, and where the file is missing or not a picture.
 */
export async function readPicture(path: string, size: PictureSize): Promise<Uint8Array> {
  const { default: sharp } = await loadSharp();
  const file = await readFileBytes(path);
  try {
    const picture = scaled(sharp(file).rotate(), size).flatten({ background: "white" });
    const pixels = await picture.toColourspace("srgb").removeAlpha().raw().toBuffer();
    return planes(pixels, size);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} is not a picture that can be read: ${reason}.`, {
      code: "picture-unreadable",
      cause: error,
    });
  }
}

/**
 * Scales pictures uint8 [count, 3 or 1, height, width] to the size and the channels of a model, as
 * `readPicture` does. Throws UserError where sharp is not installed.
 */
export async function scalePictures(images: Uint8Array, from: ImageSize, to: ImageSize): Promise<Uint8Array> {
  const { default: sharp } = await loadSharp();
  const [pixels, wanted] = [pixelsOf(from), pixelsOf(to)];
  const out = new Uint8Array((images.length / pixels) * wanted);
  const { channels, height, width } = from;
  const raw = { width, height, channels: channels === 1 ? 1 : 3 } as const;
  const scaleOne = async (i: number) => {
    const picture = sharp(interleaved(images.subarray(i * pixels, (i + 1) * pixels), channels), { raw });
    const data = await scaled(picture, to).toColourspace("srgb").raw().toBuffer();
    out.set(planes(data, to), i * wanted);
  };
  await Promise.all(Array.from({ length: images.length / pixels }, (_, i) => scaleOne(i)));
  return out;
}

/** The one way in which pictures are scaled: the centre of the picture fills the size. */
function scaled(picture: Sharp, { height, width }: PictureSize): Sharp {
  return picture.resize(width, height, { fit: "cover", position: "centre" });
}

function interleaved(picture: Uint8Array, channels: number): Uint8Array {
  const area = picture.length / channels;
  return Uint8Array.from(picture, (_, i) => picture[(i % channels) * area + Math.floor(i / channels)] ?? 0);
}

/** Interleaved pixels of 1 or 3 channels as [channels, height, width]. */
function planes(pixels: Uint8Array, { height, width, channels = 3 }: PictureSize): Uint8Array {
  const area = width * height;
  const given = pixels.length / area;
  const value = (place: number, channel: number) => pixels[place * given + (given === 1 ? 0 : channel)] ?? 0;
  if (channels === 1) {
    // ITU-R BT.601
    const luma = (place: number) =>
      0.299 * value(place, 0) + 0.587 * value(place, 1) + 0.114 * value(place, 2);
    return Uint8Array.from({ length: area }, (_, place) => Math.round(luma(place)));
  }
  return Uint8Array.from({ length: channels * area }, (_, i) => value(i % area, Math.floor(i / area)));
}

async function loadSharp(): Promise<typeof import("sharp")> {
  try {
    return await import("sharp");
  } catch (error) {
    throw new UserError("Pictures are read by sharp, which is not installed: npm install sharp.", {
      code: "package-missing",
      cause: error,
    });
  }
}
