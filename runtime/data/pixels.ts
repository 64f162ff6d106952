import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";

/**
 * How the pixels 0..255 of pictures become a model's numbers: `raw`, as they are; `unit`, divided by 255;
 * `imagenet`, (pixel / 255 - mean) / deviation with ImageNet's numbers for red, green and blue, as
 * torchvision and timm feed; or `MEAN/STD` with numbers of one's own, one for all channels (`0.5/0.5`) or one
 * for each (`0.5,0.5,0.5/0.2,0.2,0.2`), in units of 255.
 */
export type Pixels = string;

/** The mean and deviation of ImageNet's pictures in units of 255 (pytorch.org/vision, "Models"). */
const imagenet = "0.485,0.456,0.406/0.229,0.224,0.225";

/** The numbers that the values 0..255 of each channel become, float [channels * 256]. */
export type PixelTable = Float32Array;

/** The table of a way to feed pixels; undefined for `raw`. Throws UserError where it is none. */
export function pixelTable(pixels: Pixels, channels: number): PixelTable | undefined {
  if (pixels === "raw") return undefined;
  const [mean = [], deviation = []] = scaleOf(pixels, channels);
  return Float32Array.from({ length: 256 * channels }, (_, i) => {
    const channel = i >> 8;
    return ((i & 255) / 255 - at(mean, channel)) / at(deviation, channel);
  });
}

function scaleOf(pixels: Pixels, channels: number): readonly (readonly number[])[] {
  const text = pixels === "unit" ? "0/1" : pixels === "imagenet" ? imagenet : pixels;
  const parts = text.split("/").map((part) => part.split(",").map(asNumber));
  const [mean = [], deviation = []] = parts;
  const fits = [mean, deviation].every((each) => each.length === 1 || each.length === channels);
  const isScale = parts.length === 2 && mean.every(Number.isFinite) && deviation.every((each) => each > 0);
  if (!isScale) {
    throw new UserError(`Pixels are fed raw, unit, imagenet or MEAN/STD such as 0.5/0.5, not ${pixels}.`, {
      code: "setting-invalid",
      details: { setting: "pixels", value: pixels },
    });
  }
  if (!fits) {
    const counts = [mean, deviation].map(({ length }) => length);
    const given = counts.find((count) => count !== 1 && count !== channels);
    throw new UserError(
      `Pixels fed ${pixels} have numbers for ${given} channels, and the model takes ${channels}.`,
      { code: "setting-conflict", details: { setting: "pixels", value: pixels, channels } },
    );
  }
  return [mean, deviation].map((each) => Array.from({ length: channels }, (_, i) => each[i] ?? at(each, 0)));
}

function asNumber(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}
