import { expect, test } from "vitest";
import { settingsForCount } from "../../shakenet/node/data-defaults.ts";

test.each([
  [40, 8],
  [131, 8],
  [270, 16],
  [600, 32],
  [5_000, 64],
  [100_000, 64],
])("of %d pictures, a batch has %d", (count, batchSize) => {
  expect(settingsForCount(count, {})).toMatchObject({ batchSize, lastBatch: "spread" });
});

test("a few pictures are seen more often than many", () => {
  const epochs = [40, 270, 1_000, 100_000].map((count) => settingsForCount(count, {}).epochs);
  expect(epochs).toEqual([...epochs].sort((a, b) => b - a));
  expect(epochs.at(-1)).toBe(30);
});

test("a batch size that was given stays", () => {
  expect(settingsForCount(270, { batchSize: 64 }).batchSize).toBe(64);
});
