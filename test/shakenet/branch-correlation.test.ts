import { expect, test } from "vitest";
import { type Checkpoint, decodeCheckpoint } from "../../artifacts/index.ts";
import { Tensor } from "../../graph-builder/index.ts";
import { shapesDataset } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { branchCorrelations, buildTrainingArtifacts } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const settings = tinySettings();
const device = await openDevice("cpu", { threads: 1 });
const images = shapesDataset("test", 20);

async function correlations(checkpoint: Checkpoint, batchSize = 8): Promise<number[]> {
  const measuring = branchCorrelations(settings, checkpoint, images, batchSize, device);
  for (;;) {
    const { value, done } = await measuring.next();
    if (done) return value;
  }
}

/** A new network whose second branches are the first ones, times a factor and moved. */
function withTwins(factor: number, moved: number): Checkpoint {
  const checkpoint = decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint);
  for (const [name, tensor] of checkpoint.trainable) {
    if (!name.includes("branch1")) continue;
    const own = tensor.numbers().map((value) => {
      if (name.endsWith("bn2.weight")) return factor * value;
      return name.endsWith("bn2.bias") ? value + moved : value;
    });
    checkpoint.trainable.set(
      name.replace("branch1", "branch2"),
      new Tensor("float", tensor.dims, Float32Array.from(own)),
    );
  }
  return checkpoint;
}

test("branches that are alike but for a factor and a constant have the correlation 1, or -1", async () => {
  for (const [factor, moved, expected] of [
    [3, 0.5, 1],
    [-2, 0, -1],
  ] as const) {
    const found = await correlations(withTwins(factor, moved));
    expect(found).toHaveLength(3);
    for (const value of found) expect(value).toBeCloseTo(expected, 4);
  }
});

test("branches of a new network are less alike, and the size of the batches does not matter", async () => {
  const checkpoint = decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint);
  const found = await correlations(checkpoint);
  expect(found).toHaveLength(3);
  for (const value of found) expect(Math.abs(value)).toBeLessThan(0.9);
  for (const [i, value] of (await correlations(checkpoint, 20)).entries()) {
    expect(value).toBeCloseTo(found[i] ?? Number.NaN, 4);
  }
});
