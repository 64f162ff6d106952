import { ownForm, scaled, shrink, withPicture } from "../pictures.ts";
import { crc32 } from "./crc32.ts";

/** The longest side of a picture that the browser keeps, in pixels. */
const SIDE = 96;

/** A picture that is not kept yet. */
export interface NewPicture {
  /** The middle square as a PNG, 96 pixels a side or as large as the picture. */
  readonly png: Blob;
  /** The CRC-32 of that file. */
  readonly crc: number;
  /** What the network sees of it: raw pixels uint8 [3, 32, 32]. */
  readonly pixels: Uint8Array;
}

/** Makes the middle square of an image ready to be kept. */
export async function newPicture(
  source: CanvasImageSource,
  width: number,
  height: number,
): Promise<NewPicture> {
  const side = Math.max(1, Math.min(SIDE, Math.round(Math.min(width, height))));
  const { background } = ownForm;
  const { canvas } = scaled(source, width, height, { width: side, height: side }, background);
  // a video may show another frame after the next await
  const pixels = shrink(source, width, height);
  const png = await canvas.convertToBlob();
  return { png, crc: crc32(new Uint8Array(await png.arrayBuffer())), pixels };
}

/** Reads a file. Throws UserError for one that is not a picture. */
export function pictureIn(file: File): Promise<NewPicture> {
  return withPicture(file, file.name, newPicture);
}
