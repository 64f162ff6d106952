import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { EvaluationSums } from "../../../runtime/index.ts";

test("sums over batches give the mean cross-entropy, the accuracy and a count for each class", () => {
  const sums = new EvaluationSums({ classNames: ["cat", "dog"] });
  sums.add(new Tensor("float32", [0, Math.log(3), 5, 5 - Math.log(7)], [2, 2]), [1, 1]);
  sums.add(new Tensor("float32", [2, 2], [1, 2]), [0n]);
  const { loss, ...rest } = sums.result();
  // probabilities of the labels: 3/4, 1/8 and 1/2
  expect(loss).toBeCloseTo(-Math.log((3 / 4) * (1 / 8) * (1 / 2)) / 3, 6);
  expect(rest).toEqual({
    accuracy: (100 * 2) / 3,
    images: 3,
    perClass: [
      { className: "cat", images: 1, correct: 1 },
      { className: "dog", images: 2, correct: 1 },
    ],
  });
});

test("a label beyond the model's classes is refused, not scored", () => {
  const sums = new EvaluationSums({ classNames: ["cat", "dog", "cow"] });
  expect(() => sums.add(new Tensor("float32", [1, 2], [1, 2]), [2])).toThrow(
    "The label 2 is none of the model's 2 classes.",
  );
});
