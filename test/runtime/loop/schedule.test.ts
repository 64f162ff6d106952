import { expect, test } from "vitest";
import { cosineLearningRate } from "../../../runtime/loop/schedule.ts";

test("the learning rate starts at its peak, is half of it half-way and ends at exactly 0", () => {
  expect(cosineLearningRate(0.2, 0, 1000)).toBe(0.2);
  expect(cosineLearningRate(0.2, 500, 1000)).toBeCloseTo(0.1, 15);
  expect(cosineLearningRate(0.2, 1000, 1000)).toBe(0);
});

test("a third of the way along the learning rate is three quarters of its peak", () => {
  // 0.5 (1 + cos(pi / 3)) = 0.5 (1 + 0.5)
  expect(cosineLearningRate(0.2, 300, 900)).toBeCloseTo(0.15, 15);
});

test("the learning rate falls with every step", () => {
  const rates = Array.from({ length: 101 }, (_, step) => cosineLearningRate(0.05, step, 100));
  expect(rates.every((rate, step) => step === 0 || rate < (rates[step - 1] ?? 0))).toBe(true);
});
