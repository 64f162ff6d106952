import { readFileBytes } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";

/**
 * Reads a PNG or JPEG file as uint8 [3, height, width]: red, green and blue, 0..255. The picture is turned as
 * its EXIF data say, cropped to its centre and scaled to the size; transparent pixels become white.
 * Throws UserError where sharp is not installed, and where the file is missing or not a picture.
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} is not a picture that can be read: ${reason}.`, {
      code: "picture-unreadable",
      cause: error,
    });
  }
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
