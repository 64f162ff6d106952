import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { generateArtifacts } from "../../../artifacts/index.ts";
import { RandomStream } from "../../../graph-builder/index.ts";
import { TrainingSession } from "../../../runtime/index.ts";
import { OrtTrainingSession, openDevice } from "../../../runtime/node/index.ts";
import { droppedMlp } from "../../support/artifact-models.ts";

test.each([true, false])(
  "ONNX Runtime 1.19.2 draws the masks that our sessions draw, fused: %s",
  async (fused) => {
    const artifacts = generateArtifacts(droppedMlp(), {
      ...{ loss: "mse", lossInput: "y", optimizer: "adamw", additionalOutputs: ["dropped"], seed: 3, fused },
    });
    const theirs = await OrtTrainingSession.create(artifacts);
    const ours = await TrainingSession.create(artifacts, await openDevice("cpu", { threads: 1 }));
    expect(theirs.trainingInputNames).toEqual(ours.trainingInputNames);
    const random = new RandomStream(4, "rows");
    for (let step = 0; step < 4; step++) {
      const numbers = (from: number, columns: number) =>
        new Tensor(
          "float32",
          Float32Array.from({ length: 6 * columns }, (_, i) => random.normal(1000 * step + from + i)),
          [6, columns],
        );
      const feeds = { x: numbers(0, 4), target: numbers(500, 2) };
      const results = [];
      for (const session of [theirs, ours]) {
        session.learningRate = 0.001;
        session.lazyResetGrad();
        results.push(await session.runTrainStep(feeds));
        await session.runOptimizerStep();
      }
      const [a, b] = results.map((result) => Array.from(result["dropped"]?.data ?? [], Number));
      expect(a?.filter((value) => value === 0).length).toBeGreaterThan(50);
      for (const [i, value] of (a ?? []).entries()) expect(value).toBeCloseTo(b?.[i] ?? Number.NaN, 4);
    }
    expect((await theirs.checkpoint()).properties).toEqual((await ours.checkpoint()).properties);
    expect((await theirs.checkpoint()).properties.get("random_step")).toBe(4n);
    await theirs.release();
    await ours.release();
  },
);
