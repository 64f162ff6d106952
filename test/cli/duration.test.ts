import { expect, test } from "vitest";
import { secondsIn } from "../../cli/duration.ts";

test.each([
  ["90s", 90],
  ["15m", 900],
  ["15min", 900],
  ["1h30m", 5400],
  ["1h 30m 5s", 5405],
  ["1.5h", 5400],
  ["2d", 172_800],
  ["900", 900],
  ["0.5", 0.5],
  ["2H", 7200],
])("%s is %d seconds", (text, seconds) => {
  expect(secondsIn(text)).toBe(seconds);
});

test.each(["", "0", "0s", "-5m", "15 minutes", "m", "30m1h", "1e3", "10ms", "Infinity"])(
  "%j is no time",
  (text) => {
    expect(secondsIn(text)).toBeUndefined();
  },
);
