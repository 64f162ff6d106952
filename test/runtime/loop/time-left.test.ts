import { Tensor } from "onnxruntime-common";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Checkpoint } from "../../../artifacts/index.ts";
import { classificationTask } from "../../../runtime/data/classification-task.ts";
import { constant, shapesDataset, type Trainer, train } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { memoryStore } from "../../support/training-runs.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * A trainer that learns nothing: a step with images of 16 x 16 takes 100 ms, one with 32 x 32 takes 400 ms.
 */
function slowTrainer(): Trainer {
  const checkpoint: Checkpoint = { trainable: new Map(), frozen: new Map(), properties: new Map() };
  return {
    learningRate: 0,
    lazyResetGrad() {},
    async runTrainStep({ images }) {
      vi.advanceTimersByTime(100 * (Number(images?.dims[3]) / 16) ** 2);
      const scalar = new Tensor("float32", [1], []);
      return { loss: scalar, correct: scalar };
    },
    async runOptimizerStep() {},
    averageWeights() {},
    checkpoint: () => checkpoint,
  };
}

test("the time left counts steps with larger images at their own time", async () => {
  const task = classificationTask(
    {
      trainSet: shapesDataset("train", 48),
      testSet: shapesDataset("test", 8),
      batchSize: 16,
      seed: 1,
      earlySize: { side: 16, epochs: 2 },
      device: await openDevice("cpu", { threads: 1 }),
    },
    () => new Uint8Array(0),
  );
  const evaluate: typeof task.evaluate = async function* () {
    yield { done: 8, of: 8 };
    return { loss: 1, accuracy: 50 };
  };
  const { store } = memoryStore();
  const settings = { epochs: 4, learningRate: constant(0.1), checkpointEverySteps: 100, store };
  const left: number[] = [];
  for await (const event of train(slowTrainer(), { ...task, evaluate }, settings)) {
    if (event.type === "step") left.push(Math.round(1000 * event.secondsLeft));
  }
  expect(left).toEqual([2900, 2800, 2700, 2600, 2500, 2400, 2000, 1600, 1200, 800, 400, 0]);
});
