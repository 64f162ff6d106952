import { expect, test } from "vitest";
import { generateArtifacts, type TrainingArtifacts } from "../../../artifacts/index.ts";
import { encodeModel, RandomStream, UserError } from "../../../graph-builder/index.ts";
import { ChunkedSession, type NamedTensors, TrainingSession } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { pictureModel } from "../../support/picture-models.ts";

const STEPS = 8;
const BATCH = 4;
const device = await openDevice("cpu", { threads: 1 });
const { Tensor } = device.ort;
const rates = Float32Array.from({ length: STEPS }, (_, i) => 0.05 - 0.005 * i);

const steps = Array.from({ length: STEPS }, (_, step): NamedTensors => {
  const random = new RandomStream(3, `step ${step}`);
  const pixels = new Float32Array(BATCH * 3 * 12 * 12);
  random.fillNormal(pixels);
  const labels = BigInt64Array.from({ length: BATCH }, (_, i) => BigInt(random.integer(i, 10)));
  return {
    x: new Tensor("float32", pixels, [BATCH, 3, 12, 12]),
    labels: new Tensor("int64", labels, [BATCH]),
  };
});

/** The checkpoint after eight steps of a session that takes one step a call. */
async function trainSingly(artifacts: TrainingArtifacts): Promise<Uint8Array> {
  const session = await TrainingSession.create(artifacts, device);
  for (const [i, feeds] of steps.entries()) {
    session.learningRate = rates[i] ?? 0;
    session.lazyResetGrad();
    await session.runTrainStep(feeds);
    await session.runOptimizerStep();
  }
  const checkpoint = await session.saveCheckpoint();
  await session.release();
  return checkpoint;
}

/**
 * The checkpoint after calls of the given sizes, each in a session of its own that resumes the one before.
 */
async function trainIn(artifacts: TrainingArtifacts, sizes: readonly number[]): Promise<Uint8Array> {
  let { checkpoint } = artifacts;
  let first = 0;
  for (const size of sizes) {
    const session = await ChunkedSession.create({ ...artifacts, checkpoint }, device);
    const feeds = session.stack(steps.slice(first, first + size));
    await session.runSteps(feeds, rates.slice(first, first + size));
    checkpoint = await session.saveCheckpoint();
    first += size;
    await session.release();
  }
  return checkpoint;
}

test.each(["standard", "ort-training"] as const)(
  "a fused model from a file, with dropout, trains in calls of 8, of 3 and 5, and of 1 step to the bytes of single steps (%s)",
  async (target) => {
    const file = encodeModel(pictureModel({ dropout: 0.3 }));
    const artifacts = generateArtifacts(file, {
      loss: "cross-entropy",
      optimizer: "adamw",
      fused: true,
      target,
    });
    expect(artifacts.optimizerModel).toBeUndefined();
    const single = await trainSingly(artifacts);
    expect(Buffer.compare(single, artifacts.checkpoint)).not.toBe(0);
    for (const sizes of [[8], [3, 5], Array<number>(8).fill(1)]) {
      expect(Buffer.compare(await trainIn(artifacts, sizes), single), sizes.join()).toBe(0);
    }
  },
);

test("a fused model is refused for mixed precision in one sentence", async () => {
  const file = encodeModel(pictureModel());
  const artifacts = generateArtifacts(file, { loss: "cross-entropy", fused: true });
  await expect(ChunkedSession.create(artifacts, device, { precision: "mixed" })).rejects.toThrow(
    new UserError("Mixed precision needs an optimizer model beside the training model.", {
      code: "model-missing",
    }),
  );
});
