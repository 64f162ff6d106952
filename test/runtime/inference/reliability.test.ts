import { describe, expect, test } from "vitest";
import { ReliabilitySums } from "../../../runtime/index.ts";

function reliabilityOf(predictions: readonly (readonly [confidence: number, isRight: boolean])[]) {
  const sums = new ReliabilitySums();
  for (const [confidence, isRight] of predictions) sums.add(confidence, isRight);
  return sums.result();
}

describe("the expected calibration error", () => {
  test("is the mean gap of the bins, weighted by their images", () => {
    // the bins of 2/3..11/15 and 14/15..1: gaps |1/2 - 0.7| of 2 images, |2/3 - 0.97| of 3
    const { expectedError, overconfidence } = reliabilityOf([
      [0.7, true],
      [0.7, false],
      [0.97, true],
      [0.97, true],
      [0.97, false],
    ]);
    expect(expectedError).toBeCloseTo((2 * 0.2 + 3 * (0.97 - 2 / 3)) / 5, 12);
    expect(overconfidence).toBeCloseTo((2 * 0.7 + 3 * 0.97 - 3) / 5, 12);
  });

  test("does not let bins that are too sure make up for bins that are not sure enough", () => {
    const { expectedError, overconfidence } = reliabilityOf([
      [0.5, true],
      [1, false],
      [1, true],
    ]);
    expect(expectedError).toBeCloseTo((0.5 + 2 * 0.5) / 3, 12);
    expect(overconfidence).toBeCloseTo((0.5 + 2 - 2) / 3, 12);
  });

  test("of nothing is 0", () => {
    expect(reliabilityOf([])).toMatchObject({ expectedError: 0, overconfidence: 0 });
  });
});

test("a confidence on the border of two bins belongs to the lower one, and 0 and 1 are in the outer ones", () => {
  const { bins } = reliabilityOf([
    [0, false],
    [1 / 15, false],
    [1.0001 / 15, false],
    [1, true],
  ]);
  expect(bins.map(({ images }) => images)).toEqual([2, 1, ...new Array(12).fill(0), 1]);
  expect(bins.at(-1)).toMatchObject({ confidence: 1, accuracy: 1, from: 14 / 15, to: 1 });
});

test("a confidence that is not a number makes the error one that is none", () => {
  expect(reliabilityOf([[Number.NaN, false]]).expectedError).toBeNaN();
});
