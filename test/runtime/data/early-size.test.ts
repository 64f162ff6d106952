import { expect, test } from "vitest";
import { stepsBySize } from "../../../runtime/data/early-size.ts";

const run = { stepsPerEpoch: 10, epochs: 4 };
const early = { side: 24, epochs: 3 };

test("the steps that are left are counted by the size of their images", () => {
  expect(stepsBySize(0, run, early)).toEqual([
    { first: 0, count: 30, isEarly: true },
    { first: 30, count: 10, isEarly: false },
  ]);
  expect(stepsBySize(12, run, early)).toEqual([
    { first: 12, count: 18, isEarly: true },
    { first: 30, count: 10, isEarly: false },
  ]);
});

test("a run with one size left has its steps in one piece", () => {
  expect(stepsBySize(0, run, undefined)).toEqual([{ first: 0, count: 40, isEarly: false }]);
  expect(stepsBySize(33, run, early)).toEqual([{ first: 33, count: 7, isEarly: false }]);
  expect(stepsBySize(5, run, { side: 24, epochs: 9 })).toEqual([{ first: 5, count: 35, isEarly: true }]);
  expect(stepsBySize(40, run, early)).toEqual([]);
});
