import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { type Checkpoint, joinAverages } from "../../../artifacts/index.ts";
import { floats } from "../../../graph-builder/index.ts";
import { constant, type Task, type Trainer, type TrainSettings, train } from "../../../runtime/index.ts";
import { memoryStore } from "../../support/training-runs.ts";
import { messageOf } from "../../support/user-error.ts";

const settings: TrainSettings = {
  epochs: 1,
  learningRate: constant(0.1),
  checkpointEverySteps: 1,
  store: memoryStore().store,
};

function weights(): Checkpoint {
  return { trainable: new Map([["w", floats([1])]]), frozen: new Map(), properties: new Map() };
}

/** A trainer that learns nothing. */
function idleTrainer(checkpoint: Checkpoint): Trainer {
  return {
    learningRate: 0,
    lazyResetGrad() {},
    runTrainStep: async () => ({ loss: new Tensor("float32", [1], []) }),
    async runOptimizerStep() {},
    averageWeights() {},
    checkpoint: () => checkpoint,
  };
}

/** A task of one step an epoch. */
function task(onEvaluated = () => {}): Task<"loss", "loss", "rows"> {
  return {
    unit: "rows",
    stepsPerEpoch: 1,
    metrics: { loss: { output: "loss", over: "mean", scale: 1 } },
    best: { metric: "loss", higherIsBetter: false, worst: 1e9 },
    feeds: () => ({ feeds: {}, examples: 1 }),
    async *evaluate() {
      try {
        yield { done: 1, of: 2 };
        yield { done: 2, of: 2 };
        return { loss: 1 };
      } finally {
        onEvaluated();
      }
    },
  };
}

test("an evaluation ends where the loop over its events is left in the middle of it", async () => {
  const ended: number[] = [];
  let types: string[] = [];
  const onEvaluated = () => {
    ended.push(types.length);
  };
  const events = () => train(idleTrainer(weights()), task(onEvaluated), settings);
  for await (const { type } of events()) types.push(type);
  expect(types.join(" ")).toBe("checkpoint step evaluation evaluation epoch checkpoint checkpoint");
  types = [];
  for await (const { type } of events()) {
    types.push(type);
    if (type === "evaluation") break;
  }
  expect(ended).toEqual([4, 3]);
});

test("a training without averages refuses a checkpoint that has some, and goes on with them by `average`", async () => {
  const checkpoint = joinAverages({ checkpoint: weights(), averages: new Map([["w", floats([2])]]) });
  const first = (average?: TrainSettings["average"]) =>
    train(idleTrainer(checkpoint), task(), { ...settings, average }).next();
  expect(await messageOf(first())).toBe(
    "The checkpoint has averages of the weights, and this training makes none: give `average`, or begin with averagedCheckpoint(checkpoint).",
  );
  expect((await first({ kind: "ema" })).value).toEqual({ type: "checkpoint", kind: "last", step: 0 });
});

test.each<readonly [sentence: string, change: object]>([
  ["learningRate must be a schedule such as cosine(0.1), not 0.1.", { learningRate: 0.1 }],
  ["epochs must be a whole number from 1, not 1.5.", { epochs: 1.5 }],
  ["checkpointEverySteps must be a whole number from 1, not 0.", { checkpointEverySteps: 0 }],
  ["evaluateEveryEpochs must be a whole number from 1, not NaN.", { evaluateEveryEpochs: Number.NaN }],
])("what is no setting of a training is refused in one sentence: %s", async (message, change) => {
  const events = Reflect.apply(train, undefined, [{}, {}, { ...settings, ...change }]);
  await expect(events.next()).rejects.toMatchObject({ name: "UserError", message });
});
