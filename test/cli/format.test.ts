import { expect, test } from "vitest";
import { formatShortTime } from "../../cli/format.ts";

test.each([
  [0.0434, "43 ms"],
  [0.686, "690 ms"],
  [0.9996, "1 s"],
  [1.24, "1.2 s"],
  [2.4, "2.4 s"],
  [9.96, "10 s"],
  [42.4, "42 s"],
  [185, "3 min 05 s"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatShortTime(seconds)).toBe(text);
});
