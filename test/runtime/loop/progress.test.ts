import { expect, test } from "vitest";
import { Progress } from "../../../runtime/loop/progress.ts";

const task = {
  unit: "images",
  stepsPerEpoch: 2,
  metrics: { loss: { output: "loss", over: "mean", scale: 1 } },
  best: { metric: "accuracy", higherIsBetter: true, worst: -1 },
  feeds: () => ({ feeds: {}, examples: 1 }),
  evaluate: () => {
    throw new Error("is not evaluated");
  },
} as const;

test("an epoch whose loss or accuracy is not finite is never the best one", () => {
  const progress = new Progress<"loss", "loss" | "accuracy">(task, { properties: new Map() });
  expect(progress.finishEpoch({ loss: Number.NaN, accuracy: 10 })).toBe(false);
  expect(progress.finishEpoch({ loss: 1, accuracy: Number.NaN })).toBe(false);
  expect(progress.finishEpoch({ loss: 2, accuracy: 5 })).toBe(true);
  expect(progress.finishEpoch({ loss: Number.POSITIVE_INFINITY, accuracy: 50 })).toBe(false);
  expect(progress.finishEpoch({ loss: 2, accuracy: 6 })).toBe(true);
});
