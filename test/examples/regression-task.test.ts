import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { regressionArtifacts, regressionTask } from "../../dist/examples/regression-task.js";
import { constant, cosine, TrainingSession } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import {
  collect,
  divergenceOf,
  eventsOf,
  expectSameEndWhereverCut,
  memoryStore,
} from "../support/training-runs.ts";

const device = await openDevice("cpu", { threads: 1 });

/** A run of two epochs of four steps. */
async function open(checkpoint?: Uint8Array, learningRate = cosine(0.05)) {
  const artifacts = regressionArtifacts();
  const session = await TrainingSession.create(
    { ...artifacts, checkpoint: checkpoint ?? artifacts.checkpoint },
    device,
  );
  const { store, saved } = memoryStore();
  const task = { ...regressionTask(device), stepsPerEpoch: 4 };
  return { session, task, settings: { epochs: 2, learningRate, checkpointEverySteps: 3, store }, saved };
}

test("the example runs by plain node, and its network learns to multiply", async () => {
  const script = fileURLToPath(new URL("../../dist/examples/regression-task.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const losses = stdout
    .trim()
    .split("\n")
    .map((line) => Number(line.split(" ")[1]));
  expect(losses).toHaveLength(20);
  // a network that always says 0 has the mean of x² y², a ninth
  expect(losses.at(-1)).toBeLessThan(0.002);
});

test("a task of one's own has events, records and checkpoints by the names of its metrics", async () => {
  const run = await open();
  const events = await collect(run);
  expect(events.map(({ type }) => type)).toEqual([
    "checkpoint",
    ...["step", "step", "step", "checkpoint", "step", "evaluation", "epoch", "checkpoint", "checkpoint"],
    ...["step", "step", "checkpoint", "step", "step", "evaluation", "epoch", "checkpoint", "checkpoint"],
  ]);
  const [first] = events.filter((event) => event.type === "epoch");
  expect(Object.keys(first?.record ?? {})).toEqual([
    "epoch",
    "step",
    "train_loss",
    "test_loss",
    "learning_rate",
    "pairs_per_second",
    "seconds",
  ]);
  const { properties } = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  const progress = JSON.parse(String(properties.get("progress")));
  expect(Object.keys(progress)).toEqual(["step", "lossSum", "pairs", "bestLoss"]);
});

test("the best checkpoint is the one of the lowest loss", async () => {
  const run = await open();
  const losses: number[] = [];
  const task = {
    ...run.task,
    async *evaluate() {
      yield { done: 1, of: 1 };
      losses.push([3, 5, 2, 4][losses.length] ?? 0);
      return { loss: losses.at(-1) ?? 0 };
    },
  };
  const bests: (readonly [number, boolean])[] = [];
  for await (const event of eventsOf({ ...run, task, settings: { ...run.settings, epochs: 4 } })) {
    if (event.type === "epoch") bests.push([event.record.test_loss, event.isBest]);
  }
  expect(bests).toEqual([
    [3, true],
    [5, false],
    [2, true],
    [4, false],
  ]);
  const best = decodeCheckpoint(run.saved.get("best") ?? new Uint8Array());
  expect(best.properties.get("epoch")).toBe(3n);
});

test("a task of one's own, cut at any step and opened again, ends in the same bytes as an uncut one", () =>
  expectSameEndWhereverCut(open, 8));

test("a task of one's own that diverges ends with the step, the rate and the checkpoint that is kept", async () => {
  const run = await open(undefined, constant(1e38));
  expect(await divergenceOf(run)).toMatchObject({ learningRate: 1e38, savedStep: 0 });
  expect(decodeCheckpoint(run.saved.get("last") ?? new Uint8Array()).properties.get("step")).toBe(0n);
});

test("an error of the feeds ends the run, and the step under way before it is told of", async () => {
  const run = await open();
  const task = {
    ...run.task,
    feeds(step: number) {
      if (step === 2) throw new RangeError("there are no more pairs");
      return run.task.feeds(step);
    },
  };
  const steps: number[] = [];
  const ending = (async () => {
    for await (const event of eventsOf({ ...run, task })) if (event.type === "step") steps.push(event.step);
  })();
  await expect(ending).rejects.toThrow("there are no more pairs");
  expect(steps).toEqual([1, 2]);
});

test("an output that the training model lacks is named", async () => {
  const run = await open();
  const metrics = { loss: { output: "los", over: "mean", scale: 1 } } as const;
  await expect(collect({ ...run, task: { ...run.task, metrics } })).rejects.toThrow(
    "The training model has no output los.",
  );
});
