import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import type { StepPrecision } from "../../graph-builder/index.ts";
import { tinyRun } from "../support/tiny-run.ts";
import {
  collect,
  divergenceOf,
  eventsOf,
  expectSameEndWhereverCut,
  untimedRecords,
} from "../support/training-runs.ts";

// everything that changes the step's graph or its feeds; the whitening filters are a constant of the graph
const settings = {
  artifacts: {
    stem: "whitening-2",
    stemStride: 2,
    initialization: "dirac",
    outputScale: 0.125,
    clipNorm: 0.5,
    normDecay: 0,
    biasRate: 8,
    labelSmoothing: 0.2,
  },
  augmentation: { flip: "alternating", translate: 2, border: "reflect", cutout: 8 },
  strength: (step: number) => step / 6,
} as const;

function chunked(stepsPerCall: number, precision: StepPrecision = "float32") {
  return { ...settings, chunk: { stepsPerCall, precision } };
}

/** The distance of two checkpoints' trained tensors, relative to their size. */
function distance(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  const valuesOf = (bytes: Uint8Array | undefined) =>
    [...decodeCheckpoint(bytes ?? new Uint8Array()).trainable.values()].flatMap((tensor) => tensor.numbers());
  const [own, other] = [valuesOf(a), valuesOf(b)];
  return Math.hypot(...own.map((value, i) => value - (other[i] ?? Number.NaN))) / Math.hypot(...other);
}

test("calls of 1, 3 and 8 steps end in the same bytes, close to those of a session without chunks", async () => {
  const average = { kind: "lookahead", everySteps: 2 } as const;
  const single = await tinyRun({ ...chunked(1), average });
  const records = untimedRecords(await collect(single));
  for (const stepsPerCall of [3, 8]) {
    const run = await tinyRun({ ...chunked(stepsPerCall), average });
    expect(untimedRecords(await collect(run))).toEqual(records);
    expect(run.saved.get("last")).toEqual(single.saved.get("last"));
  }
  const plain = await tinyRun({ ...settings, average });
  await collect(plain);
  expect(distance(single.saved.get("last"), plain.saved.get("last"))).toBeLessThan(1e-5);
});

test("a run in calls of two steps, cut in the first epoch and opened again, ends in the same bytes as an uncut one", () =>
  expectSameEndWhereverCut(
    (checkpoint) => tinyRun({ ...chunked(2), average: { kind: "ema", everySteps: 1 } as const }, checkpoint),
    3,
  ));

test("a run in mixed precision does too", () =>
  expectSameEndWhereverCut((checkpoint) => tinyRun(chunked(2, "mixed"), checkpoint), 1));

test("every step of a call is an event with its learning rate, and no call goes on behind its epoch", async () => {
  const events = await collect(await tinyRun(chunked(8)));
  const steps = events.filter((event) => event.type === "step");
  const rate = (step: number) => 0.025 * (1 + Math.cos((step / 6) * Math.PI));
  expect(steps.map(({ step, learningRate }) => [step, learningRate])).toEqual(
    [1, 2, 3, 4, 5, 6].map((step) => [step, expect.closeTo(rate(step), 12)]),
  );
  const records = events.filter((event) => event.type === "epoch");
  expect(records.map(({ record: { epoch, step } }) => [epoch, step])).toEqual([
    [1, 3],
    [2, 6],
  ]);
});

test("a run in calls of several steps ends after the call in which it is stopped, with its checkpoint saved", async () => {
  const controller = new AbortController();
  const run = await tinyRun({ ...chunked(2), signal: controller.signal, checkpointEverySteps: 100 });
  const types: string[] = [];
  for await (const event of eventsOf(run)) {
    types.push(event.type);
    if (event.type === "step") controller.abort();
  }
  expect(types).toEqual(["checkpoint", "step", "step", "checkpoint", "interrupted"]);
  expect(decodeCheckpoint(run.saved.get("last") ?? new Uint8Array()).properties.get("step")).toBe(2n);
});

test("a step that diverges within a call is told by its own number, and no checkpoint of it is saved", async () => {
  const run = await tinyRun({ chunk: { stepsPerCall: 3 }, learningRate: 1e12 });
  const plain = await tinyRun({ learningRate: 1e12 });
  const [error, expected] = [await divergenceOf(run), await divergenceOf(plain)];
  expect(error.step).toBe(expected.step);
  expect(error.learningRate).toBe(expected.learningRate);
  expect(error.step).toBeGreaterThan(1);
  expect(error.savedStep).toBe(0);
});
