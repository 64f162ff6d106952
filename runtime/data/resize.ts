import { type ImageSize, pixelsOf } from "./types.ts";

/** What one row or column of a scaled picture is mixed of: neighbours from `first` on, with their weights. */
interface Mix {
  readonly first: number;
  readonly weights: Float32Array;
}

/**
 * Returns the function that scales raw pixels uint8 [count, channels, height, width] to another height and
 * width: linear, and averaged over all pixels that a smaller one covers (PyTorch's F.interpolate with
 * mode="bilinear" and antialias=True), rounded.
 */
export function resizer(from: ImageSize, to: Pick<ImageSize, "height" | "width">) {
  const { channels, height, width } = from;
  const [rows, columns] = [mixes(height, to.height), mixes(width, to.width)];
  const lines = new Float32Array(height * to.width);
  return (images: Uint8Array): Uint8Array => {
    const planes = (images.length / pixelsOf(from)) * channels;
    const out = new Uint8Array(planes * to.height * to.width);
    for (let plane = 0; plane < planes; plane++) {
      mixColumns(
        images.subarray(plane * height * width, (plane + 1) * height * width),
        width,
        columns,
        lines,
      );
      mixRows(lines, rows, out.subarray(plane * to.height * to.width, (plane + 1) * to.height * to.width));
    }
    return out;
  };
}

/** The triangle filter of each place in a line of `to` pixels, over a line of `from`. */
function mixes(from: number, to: number): Mix[] {
  const scale = from / to;
  const reach = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const heights = Array.from({ length: end - first }, (_height, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach)),
    );
    const total = heights.reduce((sum, value) => sum + value, 0);
    return { first, weights: Float32Array.from(heights, (value) => value / total) };
  });
}

function mixColumns(plane: Uint8Array, width: number, columns: readonly Mix[], out: Float32Array): void {
  let place = 0;
  for (let start = 0; start < plane.length; start += width) {
    for (const { first, weights } of columns) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += (weights[k] ?? 0) * (plane[start + first + k] ?? 0);
      out[place++] = sum;
    }
  }
}

function mixRows(lines: Float32Array, rows: readonly Mix[], out: Uint8Array): void {
  const width = out.length / rows.length;
  rows.forEach(({ first, weights }, row) => {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += (weights[k] ?? 0) * (lines[(first + k) * width + column] ?? 0);
      }
      out[row * width + column] = Math.round(sum);
    }
  });
}
