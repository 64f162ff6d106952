import { expect, test } from "vitest";
import { type Lowering, loweringOf, RandomStream } from "../../graph-builder/index.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import { TrainingSession } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts, shakeCoefficients } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const BATCH = 5;
// wide enough that every form of the CPU's lowering has its convolutions: blocks in the first stages,
// Winograd's in the last one
const artifacts = buildTrainingArtifacts(tinySettings({ width: 32 }));
const device = await openDevice("cpu");

/** The loss of a step on random images, and every gradient by its parameter's name. */
async function stepWith(lowering: Lowering) {
  const { trainingModel, checkpoint, manifest } = artifacts;
  const sources = { trainingModel, checkpoint };
  const session = await TrainingSession.create(sources, { ...device, lowering });
  const random = new RandomStream(1, "images");
  const images = Uint8Array.from({ length: BATCH * 3072 }, (_, i) => random.integer(i, 256));
  const scheme = { forward: "shake", backward: "shake", level: "image", seed: 1 } as const;
  const { blocks } = manifest;
  const { alpha, beta } = shakeCoefficients({ ...scheme, blocks, batch: BATCH }, 0);
  const { Tensor } = device.ort;
  const { loss } = await session.runTrainStep({
    images: new Tensor("uint8", images, [BATCH, 3, 32, 32]),
    labels: new Tensor("int64", BigInt64Array.from([0n, 3n, 9n, 3n, 7n]), [BATCH]),
    alpha: new Tensor("float32", alpha as Float32Array<ArrayBuffer>, [blocks, BATCH]),
    beta: new Tensor("float32", beta as Float32Array<ArrayBuffer>, [blocks, BATCH]),
  });
  const names = session.parameterNames();
  const gradients = await Promise.all(names.map(async (name) => floatData(await session.getGradient(name))));
  await session.release();
  return { loss: Number(loss?.data[0]), gradients };
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
}

test.each([
  ["the CPU's lowering", device.lowering],
  ["WebGPU's lowering", loweringOf("webgpu")],
])("a step of ShakeNet by %s is that of the portable graph", async (_, lowering) => {
  const [expected, actual] = [await stepWith(loweringOf("portable")), await stepWith(lowering)];
  expect(actual.loss).toBeCloseTo(expected.loss, 5);
  const errors = expected.gradients.map((theirs, i) => {
    const ours = actual.gradients[i] ?? new Float32Array();
    return norm(theirs.map((value, j) => (ours[j] ?? Number.NaN) - value)) / norm(theirs);
  });
  const sorted = errors.sort((a, b) => a - b);
  // a ReLU whose input is nearly 0 may go the other way in a few places
  expect(sorted[sorted.length >> 1]).toBeLessThan(1e-5);
  expect(sorted.at(-1)).toBeLessThan(1e-2);
});
