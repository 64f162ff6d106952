import { expect, test } from "vitest";
import { mixBatch, oneHot } from "../../../runtime/data/mixing.ts";

const size = { channels: 2, height: 8, width: 10 };
const pixels = 160;
const classes = 5;

/** Images of one value each: 40, 80, ... and the classes 0, 1, ... */
const batch = {
  images: new Uint8Array(classes * pixels).map((_, i) => 40 * (1 + Math.floor(i / pixels))),
  labels: BigInt64Array.from({ length: classes }, (_, i) => BigInt(i)),
};
const steps = Array.from({ length: 200 }, (_, step) => step);
const mixed = (mixup: number, cutmix: number, step: number, seed = 1) =>
  mixBatch(batch, size, { mixup, cutmix, classes }, seed, step);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The mean of an image's pixels over 40, which its labels must tell too. */
function expectLabelsTellPixels(mixup: number, cutmix: number, tolerance: number): void {
  for (const step of steps) {
    const { images, labels } = mixed(mixup, cutmix, step);
    for (let i = 0; i < classes; i++) {
      const shares = [...labels.subarray(i * classes, (i + 1) * classes)];
      expect(mean([...shares, 0]) * (classes + 1)).toBeCloseTo(1, 5);
      const told = shares.reduce((sum, share, label) => sum + share * 40 * (1 + label), 0);
      expect(Math.abs(mean([...images.subarray(i * pixels, (i + 1) * pixels)]) - told)).toBeLessThan(
        tolerance,
      );
    }
  }
}

test("mixup blends pixels in the shares of the labels, which add up to 1", () =>
  expectLabelsTellPixels(0.4, 0, 0.51));

test("cutmix replaces a box, whose share of the area is that of the other label", () => {
  expectLabelsTellPixels(0, 1, 1e-4);
  const { images } = mixed(0, 1, 3);
  expect(new Set(images.subarray(0, pixels)).size).toBeLessThanOrEqual(2);
});

test("with both, some batches are blended and others have boxes", () => {
  const kinds = steps.map((step) => mixed(1, 1, step).images.some((value) => value % 40 !== 0));
  const blended = kinds.filter(Boolean).length;
  expect(blended).toBeGreaterThan(70);
  expect(blended).toBeLessThan(130);
});

test.each([0.2, 1, 3])("the share of mixup has the mean and the variance of Beta(%f, %f)", (alpha) => {
  const shares = Array.from({ length: 4000 }, (_, step) => {
    const { labels } = mixBatch(
      { images: new Uint8Array(2), labels: BigInt64Array.of(0n, 1n) },
      { channels: 1, height: 1, width: 1 },
      { mixup: alpha, cutmix: 0, classes: 2 },
      1,
      step,
    );
    return labels[0] ?? 0;
  });
  // where the permutation leaves both images alone, the share is 1
  const drawn = shares.filter((share) => share !== 1);
  const variance = mean(drawn.map((share) => (share - 0.5) ** 2));
  expect(Math.abs(mean(drawn) - 0.5)).toBeLessThan(0.04);
  expect(variance).toBeCloseTo(1 / (4 * (2 * alpha + 1)), 1.5);
});

test("a batch is mixed the same way whenever it is asked for, and otherwise in another step or by another seed", () => {
  for (const [mixup, cutmix] of [
    [0.4, 0],
    [0, 1],
    [1, 1],
  ] as const) {
    const first = mixed(mixup, cutmix, 7);
    mixed(mixup, cutmix, 8);
    expect(mixed(mixup, cutmix, 7)).toEqual(first);
    expect(mixed(mixup, cutmix, 9)).not.toEqual(first);
    expect(mixed(mixup, cutmix, 7, 2)).not.toEqual(first);
  }
  expect([...batch.images.subarray(0, 2)]).toEqual([40, 40]);
});

test("labels that nothing mixes are whole", () => {
  expect([...oneHot(BigInt64Array.of(2n, 0n), 3)]).toEqual([0, 0, 1, 1, 0, 0]);
});
