import { describe, expect, test } from "vitest";
import {
  constant,
  cosine,
  linear,
  oneCycle,
  type Schedule,
  scheduleOf,
  warmUp,
} from "../../../runtime/loop/schedule.ts";

function ratesOf(schedule: Schedule, steps: number): number[] {
  return Array.from({ length: steps }, (_, i) => schedule(i + 1, steps));
}

describe("a cosine", () => {
  test("starts at its peak, is half of it half-way and ends at exactly 0", () => {
    const schedule = cosine(0.2);
    expect(schedule(0, 1000)).toBe(0.2);
    expect(schedule(500, 1000)).toBeCloseTo(0.1, 15);
    expect(schedule(1000, 1000)).toBe(0);
  });

  test("is three quarters of its peak after a third of the steps", () => {
    // 0.5 (1 + cos(pi / 3)) = 0.5 (1 + 0.5)
    expect(cosine(0.2)(300, 900)).toBeCloseTo(0.15, 15);
  });

  test("falls with every step", () => {
    const rates = ratesOf(cosine(0.05), 100);
    expect(rates.every((rate, i) => i === 0 || rate < (rates[i - 1] ?? 0))).toBe(true);
  });
});

test("a cosine ends where it is told to", () => {
  expect(cosine(0.2, 0.05)(0, 10)).toBe(0.2);
  expect(cosine(0.2, 0.05)(5, 10)).toBeCloseTo(0.125, 15);
  expect(cosine(0.2, 0.05)(10, 10)).toBe(0.05);
});

describe("a schedule in words", () => {
  test("is the paper's cosine where only the rate is given", () => {
    expect(ratesOf(scheduleOf({ learningRate: 0.2 }), 7)).toEqual(ratesOf(cosine(0.2), 7));
  });

  test("is a triangle with a warm-up and a straight line, which ends at its share of the peak", () => {
    const schedule = scheduleOf({ learningRate: 8, schedule: "linear", warmUp: 0.25, finalRate: 0.25 });
    expect(ratesOf(schedule, 8)).toEqual([4, 8, 7, 6, 5, 4, 3, 2]);
  });

  test("can stay at its rate after the warm-up", () => {
    const schedule = scheduleOf({ learningRate: 2, schedule: "constant", warmUp: 0.5 });
    expect(ratesOf(schedule, 4)).toEqual([1, 2, 2, 2]);
  });
});

test("a constant schedule has one rate", () => {
  expect(ratesOf(constant(0.01), 3)).toEqual([0.01, 0.01, 0.01]);
});

test("a linear schedule falls by the same amount in every step, to 0 or to the end that it is given", () => {
  expect(ratesOf(linear(8), 4)).toEqual([6, 4, 2, 0]);
  expect(ratesOf(linear(8, 4), 4)).toEqual([7, 6, 5, 4]);
});

describe("a warm-up", () => {
  test("rises to where the next schedule starts, which has the other steps to itself", () => {
    expect(ratesOf(warmUp(3, linear(9)), 6)).toEqual([3, 6, 9, 6, 3, 0]);
  });

  test("of no steps is the next schedule", () => {
    expect(ratesOf(warmUp(0, cosine(1)), 5)).toEqual(ratesOf(cosine(1), 5));
  });

  test("that is longer than the run ends below the peak", () => {
    expect(ratesOf(warmUp(4, constant(1)), 2)).toEqual([0.25, 0.5]);
  });
});

describe("one cycle", () => {
  test("has the rates of PyTorch's OneCycleLR", () => {
    // the formula of OneCycleLR(optimizer, max_lr=0.1, total_steps=10), computed in Python
    const expected = [0.004, 0.052, 0.1, 0.09504846320134738, 0.08117456539497631, 0.06112620219362893];
    const rates = ratesOf(oneCycle(0.1), 10);
    for (const [i, rate] of expected.entries()) expect(rates[i]).toBeCloseTo(rate, 9);
    expect(rates.at(-1)).toBeCloseTo(0.1 / 25 / 10_000, 15);
  });

  test("takes a turn and ends of its own", () => {
    const rates = ratesOf(oneCycle(1, { rising: 0.5, startDivisor: 10, endDivisor: 100 }), 20);
    for (const [step, rate] of [
      [0, 0.1],
      [9, 1],
      [19, 0.001],
    ] as const)
      expect(rates[step]).toBeCloseTo(rate, 12);
  });

  test.each([0, 0.1, 1])("is finite where %d of ten steps rise", (rising) => {
    expect(ratesOf(oneCycle(1, { rising }), 10).every(Number.isFinite)).toBe(true);
    expect(ratesOf(oneCycle(1, { rising }), 1).every(Number.isFinite)).toBe(true);
  });
});
