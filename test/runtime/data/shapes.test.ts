import { describe, expect, test } from "vitest";
import { RandomStream } from "../../../graph-builder/random.ts";
import { datasets } from "../../../runtime/data/dataset.ts";
import { drawShapes, shapeNames } from "../../../runtime/data/shapes.ts";

const PIXELS = 3 * 32 * 32;
const train = drawShapes("train", 5000, 0);
const held = drawShapes("test", 1000, 0);

function picture({ images }: { images: Uint8Array }, index: number): Uint8Array {
  return images.subarray(index * PIXELS, (index + 1) * PIXELS);
}

/** Pixels of a data set normalised as a model does it, [count, 3072]. */
function normalized(images: Uint8Array): Float32Array {
  const { mean, std } = datasets.shapes;
  const pixels = new Float32Array(images.length);
  for (let i = 0; i < pixels.length; i++) {
    const channel = (i >> 10) % 3;
    pixels[i] = ((images[i] ?? 0) - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  }
  return pixels;
}

/**
 * A linear model: the weights [3072] of each class, without bias, as the pixels are centred and the classes
 * balanced.
 */
type Linear = readonly Float32Array[];

function scores(model: Linear, pixels: Float32Array): number[] {
  return model.map((weights) => {
    let sum = 0;
    for (let i = 0; i < pixels.length; i++) sum += (weights[i] ?? 0) * (pixels[i] ?? 0);
    return sum;
  });
}

function descend(weights: Float32Array, pixels: Float32Array, step: number): void {
  for (let i = 0; i < pixels.length; i++) weights[i] = (weights[i] ?? 0) - step * (pixels[i] ?? 0);
}

/** Softmax regression by stochastic gradient descent with a rate that falls to 0. */
function trainLinear(images: Float32Array, labels: Uint8Array, epochs: number, peak: number): Linear {
  const model = shapeNames.map(() => new Float32Array(PIXELS));
  const random = new RandomStream(1, "order");
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = peak * (1 - epoch / epochs);
    for (const index of random.permutation(labels.length, epoch)) {
      const pixels = images.subarray(index * PIXELS, (index + 1) * PIXELS);
      const logits = scores(model, pixels);
      const exponentials = logits.map((x) => Math.exp(x - Math.max(...logits)));
      const sum = exponentials.reduce((x, y) => x + y);
      model.forEach((weights, label) => {
        const probability = (exponentials[label] ?? 0) / sum;
        descend(weights, pixels, rate * (probability - (labels[index] === label ? 1 : 0)));
      });
    }
  }
  return model;
}

function accuracy(model: Linear, images: Float32Array, labels: Uint8Array): number {
  const correct = labels.filter((label, index) => {
    const found = scores(model, images.subarray(index * PIXELS, (index + 1) * PIXELS));
    return found.indexOf(Math.max(...found)) === label;
  });
  return correct.length / labels.length;
}

describe("drawShapes", () => {
  test("a picture is a function of seed, split and index, whatever the count", () => {
    const few = drawShapes("train", 7, 0);
    expect(few.images).toHaveLength(7 * PIXELS);
    for (const index of [0, 6]) expect(Buffer.compare(picture(few, index), picture(train, index))).toBe(0);
    expect(Buffer.compare(picture(few, 0), picture(drawShapes("train", 1, 1), 0))).not.toBe(0);
    expect(Buffer.compare(picture(few, 0), picture(held, 0))).not.toBe(0);
  });

  test("every picture is another one", () => {
    const keys = new Set(
      Array.from({ length: 1000 }, (_, i) => Buffer.from(picture(held, i)).toString("base64")),
    );
    expect(keys.size).toBe(1000);
  });

  test("its ten classes are equally frequent and come in turn", () => {
    expect(shapeNames).toHaveLength(10);
    const counts = shapeNames.map((_, label) => train.labels.filter((l) => l === label).length);
    expect(counts).toEqual(new Array(10).fill(500));
    expect([...held.labels.subarray(0, 11)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  });

  test("no class has a colour of its own", () => {
    // the mean colour of 500 pictures, whose standard deviation is about 45, has a standard error of 2
    const means = shapeNames.map((_, label) => {
      const sums = [0, 0, 0];
      for (let index = label; index < 5000; index += 10) {
        picture(train, index).forEach((value, i) => {
          sums[i >> 10] = (sums[i >> 10] ?? 0) + value / (500 * 1024);
        });
      }
      const [red = 0, green = 0, blue = 0] = sums;
      return [red - green, green - blue];
    });
    for (const difference of means.flat()) expect(Math.abs(difference)).toBeLessThan(8);
  });

  test("the mean and standard deviation of the data set's table are those of its 5,000 training pictures", () => {
    for (const channel of [0, 1, 2]) {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < train.images.length; i++) {
        const value = (i >> 10) % 3 === channel ? (train.images[i] ?? 0) : 0;
        sum += value;
        squares += value ** 2;
      }
      const mean = sum / (5000 * 1024);
      const variance = squares / (5000 * 1024) - mean ** 2;
      expect(datasets.shapes.mean[channel]).toBeCloseTo(mean, 1);
      expect(datasets.shapes.std[channel]).toBeCloseTo(Math.sqrt(variance), 1);
    }
  });

  test("a linear model learns something of it, but not to tell the shapes apart", () => {
    const model = trainLinear(normalized(train.images), train.labels, 3, 0.0005);
    const tested = accuracy(model, normalized(held.images), held.labels);
    expect(tested).toBeGreaterThan(0.2);
    expect(tested).toBeLessThan(0.6);
  });
});
