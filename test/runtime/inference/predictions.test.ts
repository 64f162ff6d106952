import { Tensor } from "onnxruntime-common";
import { describe, expect, test } from "vitest";
import {
  ConfusionCounts,
  confusedPairs,
  confusionMatrix,
  type Dataset,
  predictAll,
  probabilitiesOf,
  resultOf,
  scoredImages,
  surestAnswers,
  worstMistakes,
} from "../../../runtime/index.ts";

/** Images of three pixels, which are their logits. */
const dataset: Dataset = {
  name: "pixels",
  classNames: ["a", "b", "c"],
  size: { channels: 1, height: 1, width: 3 },
  mean: [0],
  std: [1],
  images: Uint8Array.of(9, 0, 0, 0, 4, 5, 7, 0, 0, 0, 0, 3, 0, 8, 0),
  labels: Uint8Array.of(0, 1, 1, 2, 1),
  count: 5,
};

const logitsOf = async ({ images }: { images: Uint8Array }) =>
  new Tensor("float32", Float32Array.from(images), [images.length / 3, 3]);

describe("predictions", () => {
  test("hold the logits of every image, whatever the size of a batch", async () => {
    const told: number[] = [];
    const { classes, logits, evaluation } = await resultOf(predictAll(dataset, 2, logitsOf), ({ done }) =>
      told.push(done),
    );
    expect(told).toEqual([2, 4, 5]);
    expect(classes).toBe(3);
    expect([...logits]).toEqual([...dataset.images]);
    expect(evaluation.accuracy).toBeCloseTo(60, 9);
  });

  test("are ordered by loss: the worst mistake and the surest right answer first", async () => {
    const predictions = await resultOf(predictAll(dataset, 5, logitsOf), () => {});
    const images = scoredImages(predictions, dataset);
    expect(worstMistakes(images, 9).map(({ index, predicted }) => [index, predicted])).toEqual([
      [2, 0],
      [1, 2],
    ]);
    expect(worstMistakes(images, 1)).toHaveLength(1);
    expect(surestAnswers(images, 2).map(({ index }) => index)).toEqual([0, 4]);
    expect(images[0]?.confidence).toBeCloseTo(1 / (1 + 2 * Math.exp(-9)), 15);
  });
});

test("probabilities are computed in double precision and sum to 1, for large logits too", () => {
  const probabilities = probabilitiesOf(Float32Array.of(1000, 1001, -1000));
  expect(probabilities[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 15);
  expect(probabilities.reduce((sum, value) => sum + value)).toBeCloseTo(1, 15);
  expect(probabilities[2]).toBe(0);
});

describe("a confusion matrix", () => {
  const counts = new ConfusionCounts();
  for (const [label, predicted] of [
    [1, 0],
    [0, 0],
    [1, 0],
    [1, 1],
    [2, 1],
    [2, 1],
    [0, 2],
  ] as const) {
    counts.add(label, predicted);
  }

  test("has a row for each label and a column for each prediction", () => {
    expect(confusionMatrix(counts.cells(), 3)).toEqual([
      [1, 0, 1],
      [2, 1, 0],
      [0, 2, 0],
    ]);
  });

  test("has worst pairs: the most images first, then the larger share of the class", () => {
    expect(confusedPairs(counts.cells(), 2)).toEqual([
      { label: 2, predicted: 1, images: 2, of: 2 },
      { label: 1, predicted: 0, images: 2, of: 3 },
    ]);
  });
});
