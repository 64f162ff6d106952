import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../../artifacts/index.ts";
import {
  classificationTask,
  constant,
  cosine,
  freezeEvalModel,
  TrainingSession,
  type TrainSettings,
} from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { classifierArtifacts, halves } from "../../support/tiny-classifier.ts";
import { collect, divergenceOf, expectSameEndWhereverCut, memoryStore } from "../../support/training-runs.ts";

const device = await openDevice("cpu", { threads: 1 });

/** A run of two epochs of three steps, the last of them on a smaller batch. */
async function open(checkpoint?: Uint8Array, changes: Partial<TrainSettings> = {}) {
  const artifacts = classifierArtifacts();
  const session = await TrainingSession.create(
    { ...artifacts, checkpoint: checkpoint ?? artifacts.checkpoint },
    device,
  );
  const data = { trainSet: halves(20), testSet: halves(7), batchSize: 8, seed: 1, device };
  const task = classificationTask(data, freezeEvalModel(artifacts.evalModel));
  const { store, saved } = memoryStore();
  const settings = { epochs: 2, learningRate: cosine(0.05), checkpointEverySteps: 2, store, ...changes };
  return { session, task, settings, saved };
}

test("a classifier of pictures of any size learns, and is measured by its eval model", async () => {
  const run = await open(undefined, { epochs: 10 });
  const events = await collect(run);
  const records = events.filter((event) => event.type === "epoch").map(({ record }) => record);
  expect(records.map(({ step }) => step)).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27, 30]);
  expect(records.at(-1)?.train_loss).toBeLessThan(0.8 * (records[0]?.train_loss ?? 0));
  expect(records.at(-1)?.test_accuracy).toBe(100);
  const evaluations = events.filter((event) => event.type === "evaluation");
  expect(evaluations).toEqual(records.map(() => ({ type: "evaluation", done: 7, of: 7 })));
  const { properties } = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  expect(JSON.parse(String(properties.get("progress")))).toEqual({
    step: 30,
    lossSum: 0,
    correct: 0,
    images: 0,
    bestAccuracy: 100,
  });
});

test("a step's own metrics and the means of the epoch so far are told", async () => {
  const steps = (await collect(await open())).filter((event) => event.type === "step");
  const [first, second, third] = steps.map(({ batchMetrics }) => batchMetrics);
  expect(steps[0]?.metrics).toEqual(first);
  const mean = (8 * (first?.loss ?? 0) + 8 * (second?.loss ?? 0) + 4 * (third?.loss ?? 0)) / 20;
  expect(steps[2]?.metrics.loss).toBeCloseTo(mean, 12);
  const hits = [first, second, third].map((metrics, i) => ((metrics?.accuracy ?? 0) * (i < 2 ? 8 : 4)) / 100);
  expect(steps[2]?.metrics.accuracy).toBeCloseTo((100 * hits.reduce((sum, hit) => sum + hit)) / 20, 12);
});

test("a classifier's run cut at any step and opened again ends in the same bytes as an uncut one", () =>
  expectSameEndWhereverCut((checkpoint) => open(checkpoint), 6));

test("a classifier that diverges says the step and the checkpoint that is kept", async () => {
  const run = await open(undefined, { learningRate: constant(1e38) });
  const error = await divergenceOf(run);
  expect(error).toMatchObject({ step: 2, savedStep: 0, learningRate: 1e38 });
  const kept = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  expect(kept.properties.get("step")).toBe(0n);
});
