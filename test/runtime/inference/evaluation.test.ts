import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { type Dataset, EvaluationSums, evaluateMirrored, resultOf } from "../../../runtime/index.ts";

test("sums over batches give the mean cross-entropy, the accuracy and a count for each class", () => {
  const sums = new EvaluationSums({ classNames: ["cat", "dog"] });
  sums.add(new Tensor("float32", [0, Math.log(3), 5, 5 - Math.log(7)], [2, 2]), [1, 1]);
  sums.add(new Tensor("float32", [2, 2], [1, 2]), [0n]);
  const { loss, reliability, ...rest } = sums.result();
  // probabilities of the labels: 3/4, 1/8 and 1/2
  expect(loss).toBeCloseTo(-Math.log((3 / 4) * (1 / 8) * (1 / 2)) / 3, 6);
  expect(rest).toEqual({
    accuracy: (100 * 2) / 3,
    images: 3,
    perClass: [
      { className: "cat", images: 1, correct: 1, predicted: 2 },
      { className: "dog", images: 2, correct: 1, predicted: 1 },
    ],
    confusion: [
      { label: 0, predicted: 0, images: 1 },
      { label: 1, predicted: 0, images: 1 },
      { label: 1, predicted: 1, images: 1 },
    ],
  });
  // confidences: 3/4 right, 7/8 wrong, 1/2 right
  expect(reliability.overconfidence).toBeCloseTo((3 / 4 + 7 / 8 + 1 / 2 - 2) / 3, 6);
});

test("a label beyond the model's classes is refused, not scored", () => {
  const sums = new EvaluationSums({ classNames: ["cat", "dog", "cow"] });
  expect(() => sums.add(new Tensor("float32", [1, 2], [1, 2]), [2])).toThrow(
    "The label 2 is none of the model's 2 classes.",
  );
});

test("an evaluation with mirrored images averages the logits of both, and has the plain one beside it", async () => {
  // one row of two pixels: the logits of a picture are its pixels, so its mirror has them the other way round
  const dataset: Dataset = {
    name: "rows",
    classNames: ["left", "right"],
    size: { channels: 1, height: 1, width: 2 },
    mean: [0],
    std: [1],
    images: Uint8Array.of(9, 1, 0, 4, 5, 5),
    labels: Uint8Array.of(0, 0, 1),
    count: 3,
  };
  const logitsOf = async ({ images }: { images: Uint8Array }) =>
    new Tensor("float32", Float32Array.from(images), [images.length / 2, 2]);
  const told: number[] = [];
  const { plain, mirrored } = await resultOf(evaluateMirrored(dataset, 2, logitsOf), ({ done }) =>
    told.push(done),
  );
  expect(told).toEqual([2, 3]);
  const lossOf = (difference: number) => Math.log(1 + Math.exp(-difference));
  expect(plain.loss).toBeCloseTo((lossOf(8) + lossOf(-4) + lossOf(0)) / 3, 6);
  expect(plain.accuracy).toBeCloseTo(100 / 3, 9);
  // the averages of both directions are equal numbers for both classes
  expect(mirrored.loss).toBeCloseTo(Math.log(2), 6);
  expect(mirrored.perClass.map(({ images }) => images)).toEqual([2, 1]);
});
