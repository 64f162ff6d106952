import { expect, test } from "vitest";
import { loweringOf } from "../../graph-builder/index.ts";
import { type Device, TrainingSession } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const { trainingModel, checkpoint, manifest } = buildTrainingArtifacts(tinySettings({ width: 32 }));
const device = await openDevice("cpu", { threads: 1 });
const { ort } = device;

/** A device that notes how far ONNX Runtime optimises each graph, or optimises it as far as `forced`. */
function noting(levels: unknown[], lowering: Device["lowering"], forced?: "all"): Device {
  const create = (model: Uint8Array, options: Parameters<typeof ort.InferenceSession.create>[1]) => {
    levels.push(options?.graphOptimizationLevel);
    return ort.InferenceSession.create(
      model,
      forced ? { ...options, graphOptimizationLevel: forced } : options,
    );
  };
  const InferenceSession = { create } as typeof ort.InferenceSession;
  return { ...device, lowering, ort: { ...ort, InferenceSession } };
}

async function gradients(opened: Device): Promise<unknown[]> {
  const session = await TrainingSession.create({ trainingModel, checkpoint }, opened);
  const coefficients = new ort.Tensor("float32", new Float32Array(manifest.blocks * 2).fill(0.5), [
    manifest.blocks,
    2,
  ]);
  await session.runTrainStep({
    images: new ort.Tensor(
      "uint8",
      Uint8Array.from({ length: 6144 }, (_, i) => (i * 7919) % 256),
      [2, 3, 32, 32],
    ),
    labels: new ort.Tensor("int64", BigInt64Array.of(3n, 7n), [2]),
    alpha: coefficients,
    beta: coefficients,
  });
  const all = [];
  for (const name of session.parameterNames()) all.push((await session.getGradient(name)).data);
  await session.release();
  return all;
}

test("a graph in the blocked layout opens without ONNX Runtime's optimisation, with the same gradients to the bit", async () => {
  const levels: unknown[] = [];
  const blocked = loweringOf("cpu", 16);
  const quick = await TrainingSession.create({ trainingModel, checkpoint }, noting(levels, blocked));
  await quick.release();
  await (
    await TrainingSession.create({ trainingModel, checkpoint }, noting(levels, loweringOf("cpu")))
  ).release();
  expect(levels).toEqual(["disabled", undefined]);
  // this machine's own blocks, if it has some
  const own = await gradients(noting([], device.lowering));
  expect(own).toEqual(await gradients(noting([], device.lowering, "all")));
});
