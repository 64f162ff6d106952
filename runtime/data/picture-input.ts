import type { Tensor } from "onnxruntime-common";
import { UserError } from "../../graph-builder/errors.ts";
import type { InferenceDevice } from "../device/inference-device.ts";
import { type Pixels, type PixelTable, pixelTable } from "./pixels.ts";
import { type ImageSize, pixelsOf } from "./types.ts";

/** How a model is fed pictures, as far as its input does not say it. */
export interface PictureFeeding {
  /** `raw` where left out. */
  readonly pixels?: Pixels | undefined;
  /** The size of the pictures for a model that takes any. */
  readonly size?: Pick<ImageSize, "height" | "width"> | undefined;
  /** The output that has a number for each class; `logits` or the first one where left out. */
  readonly scores?: string | undefined;
}

/** A model's input of pictures. */
export interface PictureInput {
  readonly name: string;
  readonly type: "float32" | "uint8";
  /** Whether the layout is NHWC, not NCHW. */
  readonly isNhwc: boolean;
  readonly size: ImageSize;
  /** The fixed number of pictures of a run; undefined where any number will do. */
  readonly batch: number | undefined;
  readonly pixels: Pixels;
}

/** A model's input as its file declares it: a dimension that is not fixed is no number from 1. */
export interface DeclaredInput {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

/**
 * The input of pictures that a model declares. The axis of the channels is the last one where that is 3,
 * or else 1, and the second one is not; else it is the second one. Throws UserError, calling the model
 * `what`, for an input that takes no pictures.
 */
export function pictureInput(
  { name, type, shape }: DeclaredInput,
  { pixels = "raw", size }: PictureFeeding,
  what: string,
): PictureInput {
  const isNhwc = shape[1] !== 3 && (shape[3] === 3 || (shape[1] !== 1 && shape[3] === 1));
  const [batch, channels, height, width] = isNhwc ? at(shape, 0, 3, 1, 2) : at(shape, 0, 1, 2, 3);
  const found = { channels, height: height ?? size?.height, width: width ?? size?.width };
  if (shape.length !== 4 || channels === undefined || (type !== "float32" && type !== "uint8")) {
    throw unfit(
      `${what} takes ${name} ${type} [${shape.join(", ")}], and images are float32 or uint8 [batch, 3, height, width] or [batch, height, width, 3].`,
    );
  }
  if (found.height === undefined || found.width === undefined) {
    throw unfit(
      `${what} takes pictures of any size, ${name} ${type} [${shape.join(", ")}]: give --image-size.`,
    );
  }
  if (type === "uint8" && pixels !== "raw") {
    throw new UserError(`${what} takes ${name} as bytes, which are raw pixels, not ${pixels}.`, {
      code: "setting-conflict",
      details: { setting: "pixels", value: pixels },
    });
  }
  const input = { channels, height: found.height, width: found.width };
  pixelTable(pixels, channels);
  return { name, type, isNhwc, size: input, batch, pixels };
}

function at(shape: DeclaredInput["shape"], ...axes: readonly number[]): (number | undefined)[] {
  return axes.map((axis) => {
    const dim = shape[axis];
    return typeof dim === "number" && dim > 0 ? dim : undefined;
  });
}

function unfit(message: string): UserError {
  return new UserError(message, { code: "model-unsupported" });
}

/**
 * A model's input of `batch` pictures, from raw pixels uint8 [count, channels, height, width] of at most so
 * many. Black ones fill the rest.
 */
export function pictureTensor(
  input: PictureInput,
  images: Uint8Array,
  batch: number,
  { ort }: InferenceDevice,
): Tensor {
  const { type, isNhwc, size, pixels } = input;
  const { channels, height, width } = size;
  const data = new (type === "uint8" ? Uint8Array : Float32Array)(batch * pixelsOf(size));
  const table = pixelTable(pixels, channels);
  if (!table && !isNhwc) data.set(images);
  else fill(data, images, { table, isNhwc, channels, area: height * width });
  return new ort.Tensor(
    type,
    data,
    isNhwc ? [batch, height, width, channels] : [batch, channels, height, width],
  );
}

interface Layout {
  readonly table: PixelTable | undefined;
  readonly isNhwc: boolean;
  readonly channels: number;
  readonly area: number;
}

function fill(
  data: Uint8Array | Float32Array,
  images: Uint8Array,
  { table, isNhwc, channels, area }: Layout,
): void {
  const planes = images.length / area;
  for (let plane = 0; plane < planes; plane++) {
    const channel = plane % channels;
    const first = plane * area;
    const to = isNhwc ? (plane - channel) * area + channel : first;
    const step = isNhwc ? channels : 1;
    for (let i = 0; i < area; i++) {
      const pixel = images[first + i] ?? 0;
      data[to + i * step] = table ? (table[(channel << 8) | pixel] ?? 0) : pixel;
    }
  }
}

/** ONNX's names for the ranges of pixels (onnx/onnx docs/MetadataProps.md). */
const nominalRanges: Readonly<Record<string, string>> = {
  raw: "NominalRange_0_255",
  unit: "Normalized_0_1",
  "0.5/0.5": "Normalized_1_1",
};

/** ONNX's names of the pixels by the number of channels; that of colours is the default. */
export const pixelFormats: Readonly<Record<number, string>> = { 1: "Gray8", 4: "Rgba8" };

/** The metadata that say how a model is fed: ONNX's standard ones, and what these cannot say. */
export function feedingMetadata(
  { size, pixels }: PictureInput,
  scores: string,
): Readonly<Record<string, string>> {
  const range = nominalRanges[pixels];
  return {
    "Image.BitmapPixelFormat": pixelFormats[size.channels] ?? "Rgb8",
    "Image.ColorSpaceGamma": "SRGB",
    ...(range === undefined ? {} : { "Image.NominalPixelRange": range }),
    pixels,
    image_size: `${size.height}x${size.width}`,
    scores,
  };
}

/** How a model is fed by its metadata, ours or ONNX's; what they do not say is left out. */
export function feedingIn(metadata: Readonly<Record<string, string>>): PictureFeeding {
  const { scores, image_size: size = "", "Image.NominalPixelRange": range } = metadata;
  const [named] = Object.entries(nominalRanges).find(([, name]) => name === range) ?? [];
  const { pixels = named } = metadata;
  const [, height, width] = /^(\d+)x(\d+)$/.exec(size) ?? [];
  return {
    pixels,
    scores,
    ...(height && width ? { size: { height: Number(height), width: Number(width) } } : {}),
  };
}
