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

test.each([
  [40, 100, 30],
  [270, 36, 12],
  [5_000, 30, 5],
  [100_000, 30, 5],
])(
  "%d pictures are seen in %d epochs by a new network, in %d by one that has learnt",
  (count, own, trained) => {
    expect(settingsForCount(count, {}).epochs).toBe(own);
    expect(settingsForCount(count, {}, "trained").epochs).toBe(trained);
  },
);

test("a batch size that was given stays", () => {
  expect(settingsForCount(270, { batchSize: 64 }).batchSize).toBe(64);
});
