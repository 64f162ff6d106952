import { readFileBytes } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";

/**
 * A PNG or JPEG file, turned as its EXIF says, cut to its centre and scaled to a size, as planes of red, green and blue, 0..255; what is
 * transparent becomes white. Throws UserError where sharp is not installed, or the file is missing or no picture.
 */
export async function readPicture(
  path: string,
  { height, width }: { readonly height: number; readonly width: number },
): Promise<Uint8Array> {
  const { default: sharp } = await loadSharp();
  const file = await readFileBytes(path);
  try {
    const pixels = await sharp(file)
      .rotate()
      .resize(width, height, { fit: "cover", position: "centre" })
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .removeAlpha()
      .raw()
      .toBuffer();
    const area = width * height;
    const channels = pixels.length / area;
    return Uint8Array.from({ length: 3 * area }, (_, i) => {
      const channel = channels === 3 ? Math.floor(i / area) : 0;
      return pixels[(i % area) * channels + channel] ?? 0;
    });
  } catch (error) {
    throw new UserError(`${path} is not a picture that can be read: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

async function loadSharp(): Promise<typeof import("sharp")> {
  try {
    return await import("sharp");
  } catch (error) {
    throw new UserError("Pictures are read by sharp, which is not installed: npm install sharp.", {
      cause: error,
    });
  }
}
