import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { costLeft, evaluationsLeft, Pace, TrimmedMean } from "../../../runtime/loop/pace.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Takes steps of 10 images, of so many milliseconds each. */
function steps(pace: Pace, milliseconds: readonly number[]): void {
  for (const each of milliseconds) {
    vi.advanceTimersByTime(each);
    pace.countSteps([10]);
  }
}

test("a trimmed mean leaves out the largest and the smallest eighth", () => {
  const mean = new TrimmedMean();
  expect(mean.value).toBeNaN();
  for (const value of [5, 1]) mean.add(value);
  expect(mean.value).toBe(3);
  for (const value of [2, 3, 1000, 4, 0, 3]) mean.add(value);
  expect(mean.value).toBe((1 + 2 + 3 + 3 + 4 + 5) / 6);
});

test("the time left and the rate are those of the usual step, whatever one step took", () => {
  const pace = new Pace();
  steps(pace, [100, 100, 100]);
  expect(pace.secondsFor(6000, 0)).toBeCloseTo(600);
  steps(pace, [3_600_000]);
  expect(pace.secondsFor(6000, 0)).toBeCloseTo(600);
  expect(pace.examplesPerSecond).toBeCloseTo(100);
  for (let i = 0; i < 7; i++) steps(pace, [100, 100, 100, 100, 100, 100, 100, 90_000]);
  expect(pace.secondsFor(6000, 0)).toBeCloseTo(600);
});

test("a slower machine is seen within the steps of the window", () => {
  const pace = new Pace();
  steps(pace, Array(200).fill(100));
  steps(pace, Array(64).fill(300));
  expect(pace.secondsFor(100, 0)).toBeCloseTo(30);
});

test("evaluations count as long as they took, and not as steps", () => {
  const pace = new Pace();
  steps(pace, [100, 100, 100]);
  expect(pace.secondsFor(10, 4)).toBeCloseTo(1);
  vi.advanceTimersByTime(5000);
  pace.countEvaluation();
  steps(pace, [100]);
  expect(pace.secondsFor(10, 4)).toBeCloseTo(21);
});

test.each([
  [0, 5, 1, 5],
  [4, 5, 1, 1],
  [0, 5, 2, 3],
  // after the epochs 4 and 5
  [3, 5, 2, 2],
  [4, 5, 2, 1],
  [5, 6, 2, 1],
  // the last one was after the epoch 5
  [5, 5, 2, 0],
])("%d epochs of %d with an evaluation every %d leave %d evaluations", (done, epochs, every, left) => {
  expect(evaluationsLeft(done, epochs, every)).toBe(left);
});

test("a call of several steps counts each of them", () => {
  const pace = new Pace();
  for (let call = 0; call < 3; call++) {
    vi.advanceTimersByTime(800);
    pace.countSteps([10, 10, 10, 10, 10, 10, 10, 2]);
  }
  expect(pace.secondsFor(10, 0)).toBeCloseTo(1);
  expect(pace.examplesPerSecond).toBeCloseTo(72 / 0.8);
});

test("steps that cost more take longer in proportion", () => {
  const pace = new Pace();
  for (let i = 0; i < 3; i++) {
    vi.advanceTimersByTime(90);
    pace.countSteps([10], 9);
  }
  expect(pace.secondsFor(16, 0)).toBeCloseTo(0.16);
  vi.advanceTimersByTime(160);
  pace.countSteps([10], 16);
  expect(pace.secondsFor(16, 0)).toBeCloseTo(0.16);
});

test.each([
  [0, 30 * 9 + 10 * 16],
  [12, 18 * 9 + 10 * 16],
  [30, 10 * 16],
  [33, 7 * 16],
  [40, 0],
])("after %d steps of 3 epochs of cost 9 and one of cost 16, a cost of %d is left", (done, left) => {
  const task = { stepsPerEpoch: 10, stepCost: (epoch: number) => (epoch < 3 ? 9 : 16) };
  expect(costLeft(done, 4, task)).toBe(left);
  expect(costLeft(done, 4, { stepsPerEpoch: 10 })).toBe(40 - done);
});
