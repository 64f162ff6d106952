import type { Sharp, SharpConstructor } from "sharp";
import { readFileBytes } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { luma } from "../../data/luma.ts";
import { type ImageSize, pixelsOf } from "../../data/types.ts";
import { decodeBmp, isBmp } from "./bmp.ts";

/** The size that a picture is scaled to; 3 channels where left out. */
export type PictureSize = Pick<ImageSize, "height" | "width"> & { readonly channels?: number | undefined };

/** A colour: red, green and blue, or one grey, 0..255. */
export type Colour = readonly number[];

const white: Colour = [255, 255, 255];

/**
 * The longest side of a picture, in pixels, which is that of JPEG. libvips takes gigabytes and minutes for a
 * PNG of a hundred bytes that says that it has lines of 16 million pixels.
 */
const LONGEST_SIDE = 65_535;

/**
 * Reads a picture file as uint8 [channels, height, width], 0..255: red, green and blue; their luma for one
 * channel; and alpha too for four. The picture is turned as its EXIF data say, cropped to its centre and
 * scaled to the size; transparent pixels become the background's colour. Throws UserError where sharp is not
 * installed, and where the file is missing or not a picture.
 */
export async function readPicture(path: string, size: PictureSize, background?: Colour): Promise<Uint8Array> {
  const file = await readFileBytes(path);
  const { pixels } = await decodePicture(file, size, path, background ?? white);
  return pixels;
}

/** A decoded picture. */
export interface DecodedPicture {
  /** uint8 [channels, height, width] */
  readonly pixels: Uint8Array;
  /** Whether some pixels are transparent that the size has no channel for. */
  readonly isTransparent: boolean;
  /** The size of the picture in its file, in pixels. */
  readonly width: number;
  readonly height: number;
}

/**
 * Decodes a picture file as `readPicture` does. Throws UserError, naming `path`, where it is not a picture
 * that can be read.
 */
export async function decodePicture(
  file: Uint8Array,
  size: PictureSize,
  path: string,
  background: Colour,
): Promise<DecodedPicture> {
  const { default: sharp } = await loadSharp();
  const refuse = (reason: string, cause?: unknown) => {
    const details = { path, reason };
    return new UserError(`${path} is not a picture that can be read: ${reason}.`, {
      code: "picture-unreadable",
      details,
      cause,
    });
  };
  const unread = unreadFormat(file);
  if (unread) throw refuse(`${unread} is not read here, save it as PNG or JPEG`);
  try {
    const opened = isBmp(file) ? openBmp(sharp, file) : sharp(file);
    const { hasAlpha, width, height } = await opened.metadata();
    if (Math.max(width, height) > LONGEST_SIDE) throw refuse("it has more pixels than can be decoded");
    const picture = scaled(opened.clone().rotate(), size);
    const isFlat = !hasAlpha || size.channels === 4;
    const isTransparent = !isFlat && (await hasTransparentPixel(picture.clone()));
    const [r = 0, g = r, b = r] = background;
    const opaque = size.channels === 4 ? picture.ensureAlpha() : picture.flatten({ background: { r, g, b } });
    const seen = opaque.toColourspace("srgb");
    const pixels = await (size.channels === 4 ? seen : seen.removeAlpha()).raw().toBuffer();
    return { pixels: planes(pixels, size), isTransparent, width, height };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = reasonOf(error);
    throw refuse(
      reason === UNKNOWN && isSvg(file) ? "this SVG is not drawn here, save it as PNG" : reason,
      error,
    );
  }
}

function openBmp(sharp: SharpConstructor, file: Uint8Array): Sharp {
  const { data, ...raw } = decodeBmp(file);
  return sharp(data, { raw });
}

/** Whether a file is an SVG in UTF-8 or UTF-16, by an element of that name. */
function isSvg(file: Uint8Array): boolean {
  const isWide = file[0] === 0xff || file[1] === 0;
  const text = new TextDecoder(isWide ? "utf-16le" : "utf-8").decode(file.subarray(0, 1 << 20));
  return /<(\w+:)?svg[\s>]/.test(text);
}

async function hasTransparentPixel(picture: Sharp): Promise<boolean> {
  const alpha = await picture.extractChannel("alpha").raw().toBuffer();
  return alpha.some((value) => value < 255);
}

const UNKNOWN = "its format is unknown";

const DAMAGED = "it is damaged or was cut off";

/** The sentences of sharp that say too little, and better ones. */
const reasons: readonly (readonly [text: RegExp, reason: string])[] = [
  [/pixel limit/, "it has more pixels than can be decoded"],
  [/Input Bit Array is empty/i, "it is empty"],
  [/unsupported image format/, UNKNOWN],
  // what libvips says, which may be about other pictures too: its threads share one list of errors
  [/premature end|failOn|truncated|unexpected end|vips|lib(png|jpeg|tiff|webp|heif)|load(_\w+)?: /i, DAMAGED],
];

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const known = reasons.find(([text]) => text.test(message));
  return known?.[1] ?? message.replace(/\s*\n\s*/g, "; ").replace(/[.;\s]+$/, "");
}

/** The name of a format of pictures that sharp's binaries do not read; undefined for other files. */
function unreadFormat(file: Uint8Array): string | undefined {
  const text = (from: number, to: number) => String.fromCharCode(...file.subarray(from, to));
  if (text(4, 8) === "ftyp" && /^(heic|heix|hevc|heim|heis|mif1|msf1)/.test(text(8, 12))) {
    return text(8, 40).includes("avif") ? undefined : "HEIC";
  }
  const isJxl = (file[0] === 0xff && file[1] === 0x0a) || text(4, 8) === "JXL ";
  return isJxl ? "JPEG XL" : undefined;
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

/** A picture [channels, height, width] pixel by pixel, as sharp takes it: [height, width, channels]. */
export function interleaved(picture: Uint8Array, channels: number): Uint8Array {
  const area = picture.length / channels;
  return Uint8Array.from(picture, (_, i) => picture[(i % channels) * area + Math.floor(i / channels)] ?? 0);
}

/** Throws UserError for a number of channels that no picture has. */
export function expectPictureChannels(channels: number): void {
  if ([1, 3, 4].includes(channels)) return;
  throw new UserError(
    `The model takes ${channels} channels, and pictures have 1 (grey), 3 (colours) or 4 (with alpha).`,
    { code: "model-unsupported", details: { channels } },
  );
}

/**
 * Interleaved pixels, grey or colours, with or without alpha, as [channels, height, width]. A grey channel is
 * made of colours by ITU-R BT.601.
 */
function planes(pixels: Uint8Array, { height, width, channels = 3 }: PictureSize): Uint8Array {
  expectPictureChannels(channels);
  const area = width * height;
  const given = pixels.length / area;
  const out = new Uint8Array(channels * area);
  const green = given < 3 ? 0 : 1;
  for (let place = 0, from = 0; place < area; place++, from += given) {
    const [r = 0, g = 0, b = 0] = [pixels[from], pixels[from + green], pixels[from + 2 * green]];
    if (channels === 1) {
      out[place] = luma(r, g, b);
      continue;
    }
    out[place] = r;
    out[area + place] = g;
    out[2 * area + place] = b;
    if (channels === 4) out[3 * area + place] = given % 2 === 0 ? (pixels[from + given - 1] ?? 255) : 255;
  }
  return out;
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
