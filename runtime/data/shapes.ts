import { RandomStream } from "../../graph-builder/random.ts";

/**
 * The signed distance from a point to an outline of about radius 1, negative inside (after Inigo Quilez, "2D
 * distance functions").
 */
type Outline = (x: number, y: number) => number;

/**
 * A star of `points` corners at radius 1 and as many dents at `inner`; inner = cos(pi / points) makes it a
 * regular polygon.
 */
function star(points: number, inner: number): Outline {
  const sector = Math.PI / points;
  const dentX = inner * Math.cos(sector);
  const dentY = inner * Math.sin(sector);
  const length = Math.hypot(1 - dentX, dentY);
  return (x, y) => {
    const angle = Math.atan2(x, -y);
    const folded = Math.abs(angle - 2 * sector * Math.round(angle / (2 * sector)));
    const radius = Math.sqrt(x * x + y * y);
    return ((radius * Math.cos(folded) - 1) * dentY + radius * Math.sin(folded) * (1 - dentX)) / length;
  };
}

function disc(radius: number, x: number, y: number): number {
  return Math.sqrt(x * x + y * y) - radius;
}

/** Two discs above a wedge whose side touches them; (0.786, -0.618) is that side's normal. */
function heart(x: number, y: number): number {
  const u = Math.abs(x) - 0.45;
  const v = -y - 0.35;
  const wedge = Math.max(0.786 * u - 0.618 * v - 0.45, 0.618 * u + 0.786 * v, v);
  return Math.min(disc(0.45, u, v), wedge);
}

const outlines: Readonly<Record<string, Outline>> = {
  circle: (x, y) => disc(0.85, x, y),
  ring: (x, y) => Math.abs(disc(0.7, x, y)) - 0.22,
  crescent: (x, y) => Math.max(disc(0.95, x, y), -disc(0.8, x - 0.5, y)),
  triangle: star(3, 0.5),
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.75,
  diamond: (x, y) => (Math.abs(x) + 0.55 * Math.abs(y) - 0.55) / Math.hypot(1, 0.55),
  star: star(5, 0.42),
  cross: (x, y) =>
    Math.max(Math.min(Math.abs(x), Math.abs(y)) - 0.27, Math.max(Math.abs(x), Math.abs(y)) - 0.95),
  hourglass: (x, y) => Math.max(Math.abs(y) - 0.85, (Math.abs(x) - 0.75 * Math.abs(y)) / 1.25),
  heart,
};

/** The ten classes of `shapes`, in the order of their labels; a flip leaves a picture in its class. */
export const shapeNames: readonly string[] = Object.keys(outlines);

/**
 * What makes `shapes` easy or hard: ranges are [least, most] of a uniform draw; lengths in pixels, colours in
 * 0..255.
 */
const variety = {
  /** half the extent of a shape */
  radius: [9, 13],
  /** how far a shape may stand from the middle, as a share of the room that its radius leaves */
  offset: 0.8,
  /** the largest turn either way, in radians */
  rotation: 0.3,
  /** brightnesses of both colours, and how far apart they are at least */
  brightness: [30, 225],
  contrast: 100,
  /** share of the pictures whose shape is lighter than its background */
  lighter: 0.7,
  /** distance of a colour from grey */
  saturation: [0, 60],
  /** difference in brightness between the two ends of a background */
  gradient: [0, 40],
  /** strokes drawn behind the shape, at most 6 */
  strokes: 1,
  strokeLength: [6, 20],
  strokeWidth: [0.8, 1.8],
  /** a pixel's noise is uniform over plus or minus this */
  noise: 8,
} as const;

const SIZE = 32;
const AREA = SIZE * SIZE;
const MIDDLE = (SIZE - 1) / 2;
const DRAWS_PER_PICTURE = 64;

type Range = readonly [least: number, most: number];
type Draw = (range: Range) => number;
type Color = readonly [red: number, green: number, blue: number];

/**
 * Draws the first `count` pictures of a split of `shapes`: images [count, 3, 32, 32] in raw pixels 0..255 and
 * labels index mod 10. A picture is a function of (seed, split, index), whatever the count.
 */
export function drawShapes(
  split: string,
  count: number,
  seed: number,
): { images: Uint8Array; labels: Uint8Array } {
  const choices = new RandomStream(seed, `shapes/${split}`);
  const noise = new RandomStream(seed, `shapes/${split}/noise`);
  const images = new Uint8Array(count * 3 * AREA);
  const labels = new Uint8Array(count);
  const canvas = new Float32Array(3 * AREA);
  Object.values(outlines).forEach((outline, label) => {
    for (let index = label; index < count; index += shapeNames.length) {
      let next = index * DRAWS_PER_PICTURE;
      paintPicture(canvas, outline, ([least, most]) => least + (most - least) * choices.uniform(next++));
      develop(canvas, (pixel) => noise.uint32(index * AREA + pixel), images.subarray(index * 3 * AREA));
      labels[index] = label;
    }
  });
  return { images, labels };
}

/** Paints a picture without its noise: a background, strokes, and the shape in front of them. */
function paintPicture(canvas: Float32Array, outline: Outline, draw: Draw): void {
  const [darkest, lightest] = variety.brightness;
  const dark = draw([darkest, lightest - variety.contrast]);
  const light = draw([dark + variety.contrast, lightest]);
  const [under, over] = draw([0, 1]) < variety.lighter ? [dark, light] : [light, dark];
  paintBackground(canvas, color(under, draw), draw);
  for (let i = 0; i < variety.strokes; i++) {
    paint(canvas, stroke(draw), color(draw(variety.brightness), draw));
  }
  paint(canvas, placed(outline, draw), color(over, draw));
}

/** A colour of a mean brightness, with random hue and saturation. */
function color(brightness: number, draw: Draw): Color {
  const saturation = draw(variety.saturation);
  const hue = draw([0, 2 * Math.PI]);
  const channel = (turn: number) => brightness + saturation * Math.cos(hue + (turn * 2 * Math.PI) / 3);
  return [channel(0), channel(1), channel(2)];
}

/**
 * An outline moved, turned, mirrored and scaled at random so that it stays in the picture; distances are in
 * pixels.
 */
function placed(outline: Outline, draw: Draw): Outline {
  const radius = draw(variety.radius);
  const room = variety.offset * Math.max(0, SIZE / 2 - radius);
  const centerX = MIDDLE + draw([-room, room]);
  const centerY = MIDDLE + draw([-room, room]);
  const angle = draw([-variety.rotation, variety.rotation]);
  const mirror = draw([0, 1]) < 0.5 ? -1 : 1;
  const cos = Math.cos(angle) / radius;
  const sin = Math.sin(angle) / radius;
  return (x, y) => {
    const u = x - centerX;
    const v = y - centerY;
    return radius * outline(mirror * (cos * u + sin * v), cos * v - sin * u);
  };
}

/** A straight stroke anywhere; distances are in pixels. */
function stroke(draw: Draw): Outline {
  const middleX = draw([0, SIZE]);
  const middleY = draw([0, SIZE]);
  const angle = draw([0, Math.PI]);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const length = draw(variety.strokeLength);
  const width = draw(variety.strokeWidth);
  return (x, y) => {
    const along = Math.abs(cos * (x - middleX) + sin * (y - middleY));
    return disc(width / 2, Math.max(0, along - length / 2), cos * (y - middleY) - sin * (x - middleX));
  };
}

function paintBackground(canvas: Float32Array, [red, green, blue]: Color, draw: Draw): void {
  const slope = draw(variety.gradient) / SIZE;
  const angle = draw([0, 2 * Math.PI]);
  const cos = slope * Math.cos(angle);
  const sin = slope * Math.sin(angle);
  for (let pixel = 0; pixel < AREA; pixel++) {
    const shade = cos * ((pixel % SIZE) - MIDDLE) + sin * (Math.floor(pixel / SIZE) - MIDDLE);
    canvas[pixel] = red + shade;
    canvas[AREA + pixel] = green + shade;
    canvas[2 * AREA + pixel] = blue + shade;
  }
}

/** Blends a colour over the inside of an outline; a pixel that the outline cuts is covered in part. */
function paint(canvas: Float32Array, outline: Outline, [red, green, blue]: Color): void {
  for (let pixel = 0; pixel < AREA; pixel++) {
    const distance = outline(pixel % SIZE, Math.floor(pixel / SIZE));
    if (distance >= 0.5) continue;
    const cover = Math.min(1, 0.5 - distance);
    canvas[pixel] = mix(canvas[pixel] ?? 0, red, cover);
    canvas[AREA + pixel] = mix(canvas[AREA + pixel] ?? 0, green, cover);
    canvas[2 * AREA + pixel] = mix(canvas[2 * AREA + pixel] ?? 0, blue, cover);
  }
}

function mix(under: number, over: number, cover: number): number {
  return under + cover * (over - under);
}

/**
 * Writes a canvas as bytes, each with a noise of its own: a pixel's random word has one byte for each
 * channel.
 */
function develop(canvas: Float32Array, word: (pixel: number) => number, out: Uint8Array): void {
  for (let pixel = 0; pixel < AREA; pixel++) {
    const bits = word(pixel);
    for (let channel = 0; channel < 3; channel++) {
      const noise = (((bits >>> (8 * channel)) & 255) / 127.5 - 1) * variety.noise;
      const value = Math.round((canvas[channel * AREA + pixel] ?? 0) + noise);
      out[channel * AREA + pixel] = Math.max(0, Math.min(255, value));
    }
  }
}
