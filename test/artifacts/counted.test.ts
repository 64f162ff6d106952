import { expect, test } from "vitest";
import { counted } from "../../artifacts/counted.ts";

test("one thing is singular, none and many are plural, and thousands have a comma", () => {
  expect([0, 1, 2, 1568].map((count) => counted(count, "step"))).toEqual([
    "0 steps",
    "1 step",
    "2 steps",
    "1,568 steps",
  ]);
});
