import { at } from "../../graph-builder/at.ts";
import { make } from "./dom.ts";

/** A filter float [3, side, side] as a picture: grey is 0, and the largest weight has the full colour. */
export function filterCanvas(values: Float32Array, side: number): HTMLCanvasElement {
  const largest = largestSize(values);
  const area = side * side;
  return paintedCanvas(side, side, (i) => [
    128 + (127 * at(values, i)) / largest,
    128 + (127 * at(values, area + i)) / largest,
    128 + (127 * at(values, 2 * area + i)) / largest,
  ]);
}

/** A map float [height, width] as a picture: blue is below 0, orange above. */
export function mapCanvas(values: Float32Array, width: number, height: number): HTMLCanvasElement {
  const largest = largestSize(values);
  return paintedCanvas(width, height, (i) => {
    const share = at(values, i) / largest;
    const [full, strength] = share > 0 ? [[224, 122, 63], share] : [[47, 109, 179], -share];
    return full.map((colour) => 20 + (colour - 20) * Math.sqrt(strength));
  });
}

function largestSize(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
}

function paintedCanvas(
  width: number,
  height: number,
  colourOf: (i: number) => readonly number[],
): HTMLCanvasElement {
  const canvas = make("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("aria-hidden", "true");
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([...colourOf(i), 255], 4 * i);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
