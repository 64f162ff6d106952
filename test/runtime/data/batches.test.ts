import { describe, expect, test } from "vitest";
import { evalBatches, stepsPerEpoch, type TrainBatch, trainBatch } from "../../../runtime/data/batches.ts";
import type { Dataset } from "../../../runtime/data/types.ts";

const PIXELS = 3 * 32 * 32;
const settings = { seed: 1, batchSize: 8 };

/** Images of the value of their label, so that every pixel of a batch tells which image it is from. */
function plainImages(count: number): Dataset {
  const labels = Uint8Array.from({ length: count }, (_, i) => i);
  const images = new Uint8Array(count * PIXELS).map((_, i) => Math.floor(i / PIXELS));
  return {
    name: "plain",
    classNames: [],
    size: { channels: 3, height: 32, width: 32 },
    mean: [200.4, 200.5, 201],
    std: [1, 1, 1],
    images,
    labels,
    count,
  };
}

/** One image whose pixel tells its place: red is 1 + the row, green 1 + the column, blue 100. */
function rulerImage(): Dataset {
  const images = new Uint8Array(PIXELS).map((_, i) => [1 + (i >> 5), 1 + (i % 32), 100][i >> 10] ?? 0);
  return { ...plainImages(1), images, mean: [0, 0, 0] };
}

function labelsOf(dataset: Dataset, steps: number, batchSize = 8): number[] {
  return Array.from({ length: steps }, (_, step) => [
    ...trainBatch(dataset, { seed: 1, batchSize }, step).labels,
  ])
    .flat()
    .map(Number);
}

/** The offset and direction by which a batch's image differs from the ruler. */
function cropOf(images: Uint8Array): { x: number; y: number; flip: boolean } {
  const [row, column, right] = [
    images[16 * 33] ?? 0,
    images[1024 + 16 * 33] ?? 0,
    images[1024 + 16 * 33 + 1] ?? 0,
  ];
  const flip = right < column;
  return { y: row - 1 - 16 + 4, x: (flip ? 31 - (column - 1) : column - 1) - 16 + 4, flip };
}

/** The crop of the ruler, pixel by pixel from its definition. */
function expectedCrop(
  image: Uint8Array,
  { x, y, flip }: { x: number; y: number; flip: boolean },
): Uint8Array {
  return new Uint8Array(PIXELS).map((_, i) => {
    const row = ((i >> 5) % 32) + y - 4;
    const column = (i % 32) + x - 4;
    if (row < 0 || row > 31 || column < 0 || column > 31) return 0;
    return image[(i >> 10) * 1024 + row * 32 + (flip ? 31 - column : column)] ?? 0;
  });
}

describe("trainBatch", () => {
  test("an epoch takes every image once and keeps its last, smaller batch", () => {
    const dataset = plainImages(20);
    expect(stepsPerEpoch(dataset, 8)).toBe(3);
    expect([0, 1, 2, 3].map((step) => trainBatch(dataset, settings, step).labels.length)).toEqual([
      8, 8, 4, 8,
    ]);
    expect(trainBatch(dataset, settings, 2).images).toHaveLength(4 * PIXELS);
    const sorted = labelsOf(dataset, 3).sort((a, b) => a - b);
    expect(sorted).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("a batch larger than the data set is the whole data set", () => {
    expect(stepsPerEpoch(plainImages(5), 8)).toBe(1);
    expect(labelsOf(plainImages(5), 1).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  });

  test("every epoch and every seed has an order of its own", () => {
    const dataset = plainImages(20);
    const both = labelsOf(dataset, 6);
    expect(both.slice(20)).not.toEqual(both.slice(0, 20));
    const other = trainBatch(dataset, { ...settings, seed: 2 }, 0).labels;
    expect(other).not.toEqual(trainBatch(dataset, settings, 0).labels);
  });

  test("a step is the same whether or not the earlier ones were asked for", () => {
    const walked = plainImages(20);
    const batches = Array.from({ length: 9 }, (_, step) => trainBatch(walked, settings, step));
    const digest = ({ images, labels }: TrainBatch) =>
      `${labels.join()} ${Buffer.from(images).toString("base64")}`;
    const expected = batches.map(digest);
    for (const step of [8, 0, 5])
      expect(digest(trainBatch(plainImages(20), settings, step))).toBe(expected[step]);
    expect(digest(trainBatch(walked, settings, 1))).toBe(expected[1]);
  });

  test("two runs over one data set do not disturb each other", () => {
    const dataset = plainImages(20);
    const alone = trainBatch(plainImages(20), settings, 1);
    trainBatch(dataset, settings, 0);
    trainBatch(dataset, { ...settings, seed: 2 }, 0);
    const again = trainBatch(dataset, settings, 1);
    expect(again.labels).toEqual(alone.labels);
    expect(Buffer.compare(again.images, alone.images)).toBe(0);
  });

  test("images keep their labels, and the border is the rounded mean of each channel", () => {
    const { images, labels } = trainBatch(plainImages(20), settings, 0);
    labels.forEach((label, i) => {
      [200, 201, 201].forEach((mean, channel) => {
        const plane = images.subarray(i * PIXELS + channel * 1024, i * PIXELS + (channel + 1) * 1024);
        const values = new Set(plane);
        expect(values.has(Number(label))).toBe(true);
        values.delete(Number(label));
        expect([...values].every((value) => value === mean)).toBe(true);
      });
    });
  });

  test("a crop moves every pixel as its definition says, flipped or not", () => {
    const dataset = rulerImage();
    const flips = new Set<boolean>();
    for (let step = 0; step < 12; step++) {
      const { images } = trainBatch(dataset, settings, step);
      const crop = cropOf(images);
      flips.add(crop.flip);
      expect(Buffer.compare(images, expectedCrop(dataset.images, crop))).toBe(0);
    }
    expect(flips.size).toBe(2);
  });

  test("all 9 x 9 places and both directions come equally often", () => {
    const dataset = rulerImage();
    const counts = new Map<string, number>();
    const samples = 16_200;
    for (let step = 0; step < samples; step++) {
      const { x, y, flip } = cropOf(trainBatch(dataset, settings, step).images);
      const key = `${x} ${y} ${flip}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(162);
    const statistic = [...counts.values()].reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    expect(Math.abs(statistic - 161) / Math.sqrt(2 * 161)).toBeLessThan(4);
  });

  test("an image is cropped anew in every epoch", () => {
    const dataset = rulerImage();
    const crops = new Set(
      Array.from({ length: 20 }, (_, epoch) => trainBatch(dataset, settings, epoch).images.join()),
    );
    expect(crops.size).toBeGreaterThan(10);
  });
});

describe("evalBatches", () => {
  test("has all images in order and unchanged, the last batch smaller", () => {
    const dataset = plainImages(20);
    const batches = [...evalBatches(dataset, 8)];
    expect(batches.map(({ labels }) => labels.length)).toEqual([8, 8, 4]);
    expect(batches.flatMap(({ labels }) => [...labels])).toEqual(
      Array.from({ length: 20 }, (_, i) => BigInt(i)),
    );
    expect(batches.flatMap(({ images }) => [...images])).toEqual([...dataset.images]);
  });

  test("does not copy the images", () => {
    const dataset = plainImages(20);
    for (const { images } of evalBatches(dataset, 8)) expect(images.buffer).toBe(dataset.images.buffer);
  });
});

test("images that do not fill a batch can be spread over the epoch, so that batches differ by one at most", () => {
  const sizesOf = (count: number, batchSize: number) => {
    const dataset = plainImages(count);
    const steps = stepsPerEpoch(dataset, batchSize);
    const settings = { seed: 1, batchSize, lastBatch: "spread" } as const;
    const batches = Array.from({ length: steps }, (_, step) => trainBatch(dataset, settings, step).labels);
    return batches.map(({ length }) => length);
  };
  expect(sizesOf(131, 64)).toEqual([44, 44, 43]);
  expect(sizesOf(128, 64)).toEqual([64, 64]);
  expect(sizesOf(3, 64)).toEqual([3]);
  expect(sizesOf(65, 64)).toEqual([33, 32]);
});
