import { expect, test } from "vitest";
import {
  averagedCheckpoint,
  type Checkpoint,
  decodeCheckpoint,
  joinAverages,
  splitAverages,
} from "../../../artifacts/index.ts";
import { floats } from "../../../graph-builder/index.ts";
import { Classifier } from "../../../runtime/index.ts";
import { averageStep } from "../../../runtime/loop/averaging.ts";
import { WeightAverages } from "../../../runtime/session/weight-averages.ts";
import { inferenceModel } from "../../../shakenet/index.ts";
import { tinyRun } from "../../support/tiny-run.ts";
import { collect, expectSameEndWhereverCut } from "../../support/training-runs.ts";

const checkpoint: Checkpoint = {
  trainable: new Map([["w", floats([1, 2])]]),
  frozen: new Map([["mean", floats([3])]]),
  properties: new Map([["seed", 1n]]),
};

test("an average starts as its weights, then takes 1 - decay of the new ones", () => {
  const averages = new WeightAverages(new Map());
  averages.follow([["w", floats([4, 8])]], { decay: 0.75, pull: false });
  expect(averages.tensors.get("w")?.data).toEqual(Float32Array.of(4, 8));
  const weights = floats([8, 0]);
  averages.follow([["w", weights]], { decay: 0.75, pull: false });
  expect(averages.tensors.get("w")?.data).toEqual(Float32Array.of(5, 6));
  expect(weights.data).toEqual(Float32Array.of(8, 0));
});

test("lookahead starts the weights again from their averages", () => {
  const averages = new WeightAverages(new Map([["w", floats([4, 8])]]));
  const weights = floats([8, 0]);
  averages.follow([["w", weights]], { decay: 0.5, pull: true });
  expect(weights.data).toEqual(Float32Array.of(6, 4));
});

test("the decay of an average is that of its steps together, and less at the start", () => {
  expect(averageStep({ kind: "ema", decay: 0.9, everySteps: 2 }, 3, 100)).toBeUndefined();
  expect(averageStep({ kind: "ema", decay: 0.9, everySteps: 2 }, 4, 100)?.decay).toBeCloseTo(3 / 12, 12);
  expect(averageStep({ kind: "ema", decay: 0.9, everySteps: 2 }, 100, 100)).toEqual({
    decay: 0.9 ** 2,
    pull: false,
  });
});

test("lookahead's decay is airbench94's: 0.95 ** 5 * (step / steps) ** 3 every 5 steps", () => {
  expect(averageStep({ kind: "lookahead" }, 50, 100)).toEqual({ decay: 0.95 ** 5 / 8, pull: true });
  expect(averageStep({ kind: "lookahead" }, 51, 100)).toBeUndefined();
});

test("a checkpoint keeps averages beside the weights, under names that nothing else has", () => {
  const averages = new Map([
    ["w", floats([5, 6])],
    ["mean", floats([7])],
  ]);
  for (const taken of [[], ["other.average"]]) {
    const frozen = new Map([...checkpoint.frozen, ...taken.map((name) => [name, floats([0])] as const)]);
    const own = { ...checkpoint, frozen };
    const joined = joinAverages({ checkpoint: own, averages });
    expect(splitAverages(joined)).toEqual({ checkpoint: own, averages });
    expect(averagedCheckpoint(joined).trainable.get("w")?.data).toEqual(Float32Array.of(5, 6));
    expect(averagedCheckpoint(joined).frozen.get("mean")?.data).toEqual(Float32Array.of(7));
    expect([...averagedCheckpoint(joined).frozen.keys()]).toEqual([...frozen.keys()]);
  }
  expect(averagedCheckpoint(checkpoint)).toBe(checkpoint);
});

test.each(["ema", "lookahead"] as const)("a run with %s, cut at any step, ends in the same bytes", (kind) =>
  expectSameEndWhereverCut(
    (saved) =>
      tinyRun({ average: { kind, decay: 0.8, everySteps: 1 }, epochs: 1, checkpointEverySteps: 1 }, saved),
    2,
  ),
);

test("parameters and running statistics are averaged, and their averages evaluated and exported", async () => {
  const run = await tinyRun({ average: { kind: "ema", decay: 0.8, everySteps: 1 } });
  const events = await collect(run);
  const saved = decodeCheckpoint(run.saved.get("last") ?? new Uint8Array());
  const { checkpoint: own, averages } = splitAverages(saved);
  expect([...averages.keys()].sort()).toEqual([...own.trainable.keys(), ...own.frozen.keys()].sort());
  const { trainable, frozen } = averagedCheckpoint(saved);
  const averaged = { ...own, trainable, frozen };
  expect(inferenceModel(run.network, saved)).toEqual(inferenceModel(run.network, averaged));
  expect(inferenceModel(run.network, saved)).not.toEqual(inferenceModel(run.network, own));
  const record = events.findLast((event) => event.type === "epoch")?.record;
  const classifier = await Classifier.open(inferenceModel(run.network, averaged), run.device, "tiny");
  const logits = await classifier.logits(run.testSet.images);
  const predicted = Array.from(run.testSet.labels, (_, i) => {
    const row = Array.from((logits.data as Float32Array).subarray(10 * i, 10 * i + 10));
    return row.indexOf(Math.max(...row));
  });
  const correct = predicted.filter((label, i) => label === run.testSet.labels[i]).length;
  expect(record?.test_accuracy).toBeCloseTo((100 * correct) / run.testSet.count, 9);
  await classifier.release();
});
