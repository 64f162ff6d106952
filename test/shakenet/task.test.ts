import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import {
  type ClassificationEvent,
  Classifier,
  type EvaluationBatch,
  evalBatches,
} from "../../runtime/index.ts";
import { buildTrainingArtifacts, inferenceModel } from "../../shakenet/index.ts";
import { openTiny, tinyRun, tinySettings } from "../support/tiny-run.ts";
import { collect, divergenceOf, eventsOf } from "../support/training-runs.ts";

test("a run yields its steps, evaluations, epochs and checkpoints in order", async () => {
  const run = await tinyRun();
  const events = await collect(run);
  const steps = events.filter((event) => event.type === "step");
  expect(steps.map(({ epoch, step }) => [epoch, step])).toEqual([
    [1, 1],
    [1, 2],
    [1, 3],
    [2, 4],
    [2, 5],
    [2, 6],
  ]);
  for (const { step, learningRate } of steps) {
    expect(learningRate).toBeCloseTo(0.025 * (1 + Math.cos((step / 6) * Math.PI)), 12);
  }
  const records = events.filter((event) => event.type === "epoch").map(({ record }) => record);
  expect(records.map(({ epoch, step }) => [epoch, step])).toEqual([
    [1, 3],
    [2, 6],
  ]);
  for (const record of records) {
    expect(Object.keys(record)).toEqual([
      "epoch",
      "step",
      "train_loss",
      "train_accuracy",
      "test_loss",
      "test_accuracy",
      "learning_rate",
      "images_per_second",
      "seconds",
    ]);
    expect(record.test_accuracy).toBeGreaterThanOrEqual(0);
    expect(record.test_accuracy).toBeLessThanOrEqual(100);
    expect(record.train_loss).toBeGreaterThan(0);
  }
  expect(events[0]).toEqual({ type: "checkpoint", kind: "last", step: 0 });
  const last = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  expect(last.properties.get("epoch")).toBe(2n);
  expect(last.properties.get("step")).toBe(6n);
  expect(last.properties.get("seed")).toBe(1n);
});

test("small images in the first epochs change the first steps, and the same network is tested", async () => {
  const lossesOf = async (early: boolean) => {
    const run = await tinyRun({
      artifacts: { anySize: true },
      ...(early ? { earlySize: { side: 24, epochs: 1 } } : {}),
    });
    const sides: number[] = [];
    const { feeds } = run.task;
    const task = {
      ...run.task,
      feeds: async (step: number) => {
        const fed = await feeds(step);
        sides.push(Number(fed.feeds["images"]?.dims[3]));
        return fed;
      },
    };
    const events = await collect({ ...run, task });
    expect(sides).toEqual(early ? [24, 24, 24, 32, 32, 32] : Array(6).fill(32));
    return events.flatMap((event) => (event.type === "step" ? [event.batchMetrics.loss] : []));
  };
  const [small, whole] = [await lossesOf(true), await lossesOf(false)];
  expect(small[0]).not.toBe(whole[0]);
  const plain = (await collect(await tinyRun())).flatMap((event) =>
    event.type === "step" ? [event.batchMetrics.loss] : [],
  );
  // a free size computes what the fixed one does
  for (const [i, loss] of plain.entries()) expect(whole[i]).toBeCloseTo(loss, 4);
});

test("a record has the metrics of its own epoch where others are not evaluated, and the last epoch is evaluated", async () => {
  const run = await tinyRun({ epochs: 3, evaluateEveryEpochs: 2, checkpointEverySteps: 100 });
  const events = await collect(run);
  const records = events.filter((event) => event.type === "epoch").map(({ record }) => record);
  expect(records.map(({ epoch, step }) => [epoch, step])).toEqual([
    [2, 6],
    [3, 9],
  ]);
  const steps = events.filter((event) => event.type === "step").slice(3);
  const sizes = [16, 16, 8];
  const sum = sizes.reduce((total, size, i) => total + size * (steps[i]?.batchMetrics.loss ?? 0), 0);
  expect(records[0]?.train_loss).toBeCloseTo(sum / 40, 9);
  const checkpoints = events.filter((event) => event.type === "checkpoint" && event.kind === "last");
  expect(checkpoints.map((event) => event.type === "checkpoint" && event.step)).toEqual([0, 3, 6, 9]);
});

test("an epoch is evaluated as the frozen network, which is what the eval model comes to", async () => {
  const run = await tinyRun({ epochs: 1, learningRate: 0.2 });
  const epoch = (await collect(run)).find((event) => event.type === "epoch");
  const { session, device } = await openTiny(buildTrainingArtifacts(tinySettings()), run.saved.get("last"));
  const { images, labels } = evalBatches(run.testSet, run.testSet.count).next().value as EvaluationBatch;
  const { Tensor } = device.ort;
  const { loss, correct, logits } = await session.runEvalStep({
    images: new Tensor("uint8", images, [labels.length, 3, 32, 32]),
    labels: new Tensor("int64", labels, [labels.length]),
  });
  const classifier = await Classifier.open(
    inferenceModel(run.network, await session.checkpoint()),
    device,
    "tiny",
  );
  const frozen = (await classifier.logits(images)).data as Float32Array;
  for (const [i, value] of frozen.entries()) expect(value).toBeCloseTo(Number(logits?.data[i]), 5);
  expect(epoch?.record.test_loss).toBeCloseTo(Number(loss?.data[0]), 5);
  expect(epoch?.record.test_accuracy).toBeCloseTo((100 * Number(correct?.data[0])) / labels.length, 9);
  await classifier.release();
  await session.release();
});

test("an aborted run finishes its step, saves it and says so", async () => {
  const controller = new AbortController();
  const run = await tinyRun({ signal: controller.signal });
  const events: ClassificationEvent[] = [];
  for await (const event of eventsOf(run)) {
    events.push(event);
    if (event.type === "step") controller.abort();
  }
  expect(events.filter((event) => event.type === "step")).toHaveLength(1);
  expect(events.at(-1)).toEqual({ type: "interrupted", step: 1 });
  expect(decodeCheckpoint(run.saved.get("last") ?? new Uint8Array()).properties.get("step")).toBe(1n);
});

test("a loss that is not finite stops the run, names the step and keeps the last good checkpoint", async () => {
  const run = await tinyRun({ learningRate: 1e30, checkpointEverySteps: 100 });
  const error = await divergenceOf(run);
  expect(error).toMatchObject({ code: "diverged", savedStep: 0, reason: "the loss is NaN" });
  expect(error.message).toMatch(
    /^The run diverged at step \d, at a learning rate of \S+e\+29: the loss is NaN\. A smaller learning rate may help\. The checkpoint of step 0 is kept\.$/,
  );
  const kept = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  for (const { data } of kept.trainable.values()) {
    expect((data as Float32Array).every(Number.isFinite)).toBe(true);
  }
});

test("even mixing, keep and the batch level train too, each to other weights", async () => {
  const ends = new Set<string>();
  const modes = [
    {},
    { forward: "even", backward: "even" },
    { backward: "even" },
    { backward: "keep" },
    { level: "batch" },
  ] as const;
  for (const mode of modes) {
    const run = await tinyRun({ epochs: 1, ...mode });
    await collect(run);
    ends.add(Buffer.from(run.saved.get("last") ?? []).toString("base64"));
  }
  expect(ends.size).toBe(modes.length);
});
