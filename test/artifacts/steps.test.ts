import { beforeAll, describe, expect, test } from "vitest";
import { generateArtifacts, optimizers, targets } from "../../artifacts/index.ts";
import { RandomStream } from "../../graph-builder/index.ts";
import type { Device } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import { mlp } from "../support/artifact-models.ts";
import { MlpReference } from "../support/mlp-reference.ts";

let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});

/** `count` rows for step `step`. */
function batch(step: number, count: number) {
  const random = new RandomStream(4, "rows");
  const numbers = (columns: number, offset: number) =>
    Array.from({ length: columns * count }, (_, i) => Math.fround(random.normal(1000 * step + offset + i)));
  return { x: numbers(3, 0), target: numbers(2, 500) };
}

const kinds = targets.flatMap((target) =>
  [false, true].flatMap((fused) => optimizers.map((optimizer) => ({ target, fused, optimizer }))),
);

describe("twenty steps", () => {
  test.each(kinds)(
    "of $optimizer, target $target, fused $fused, are those of plain JavaScript",
    async (kind) => {
      const model = mlp();
      const reference = new MlpReference(model);
      const artifacts = generateArtifacts(model, { loss: "mse", learningRate: 0.05, ...kind });
      const session = await TrainingSession.create(artifacts, device);
      expect(session.learningRate).toBeCloseTo(0.05, 7);
      const { Tensor } = device.ort;
      for (let step = 0; step < 20; step++) {
        const rows = 4 + (step % 3);
        const { x, target } = batch(step, rows);
        session.lazyResetGrad();
        const results = await session.runTrainStep({
          x: new Tensor("float32", Float32Array.from(x), [rows, 3]),
          target: new Tensor("float32", Float32Array.from(target), [rows, 2]),
        });
        await session.runOptimizerStep();
        const expected = reference.step(x, target, kind.optimizer, 0.05);
        expect(Number(results["loss"]?.data[0])).toBeCloseTo(expected, 5);
      }
      for (const [name, values] of reference.parameters) {
        const found = (await session.getParameter(name)).data;
        for (const [i, value] of values.entries()) expect(Number(found[i])).toBeCloseTo(value, 4);
      }
      await session.release();
    },
  );
});
