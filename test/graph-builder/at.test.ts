import { expect, test } from "vitest";
import { at } from "../../graph-builder/index.ts";

test("an element is read by its index, and an index outside the list throws", () => {
  expect(at([3, 0], 1)).toBe(0);
  expect(at(Float32Array.of(0.5), 0)).toBe(0.5);
  for (const index of [2, -1, 0.5, Number.NaN]) {
    expect(() => at([3, 0], index)).toThrow(new RangeError(`a list of 2 has no element ${index}`));
  }
});
