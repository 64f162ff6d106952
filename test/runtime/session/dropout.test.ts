import { Tensor } from "onnxruntime-common";
import { beforeAll, describe, expect, test } from "vitest";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type GenerateOptions,
  generateArtifacts,
  setRandomSeed,
  targets,
} from "../../../artifacts/index.ts";
import { decodeModel, RandomStream, readBindings, type StepPrecision } from "../../../graph-builder/index.ts";
import { ChunkedSession, type Device, TrainingSession } from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession } from "../../../runtime/node/index.ts";
import { droppedMlp, mlp } from "../../support/artifact-models.ts";

const worker = new URL("../../../dist/runtime/node/replicas/replica-worker.js", import.meta.url);
const ROWS = 8;
let device: Device;
beforeAll(async () => {
  device = await openDevice("cpu", { threads: 1 });
});

function artifactsOf(options: Partial<GenerateOptions> = {}) {
  return generateArtifacts(droppedMlp(), {
    loss: "mse",
    lossInput: "y",
    learningRate: 0.05,
    additionalOutputs: ["dropped"],
    seed: 3,
    ...options,
  });
}

/** The feeds of a step; with `steps`, those of so many steps in one call. */
function feeds(step: number, steps?: number) {
  const numbers = (stream: string, columns: number) => {
    const random = new RandomStream(4, stream);
    const size = ROWS * columns * (steps ?? 1);
    const data = Float32Array.from({ length: size }, (_, i) => random.normal(step * ROWS * columns + i));
    return new Tensor("float32", data, [...(steps === undefined ? [] : [steps]), ROWS, columns]);
  };
  return { x: numbers("x", 4), target: numbers("target", 2) };
}

type Steppable = Pick<TrainingSession, "lazyResetGrad" | "runTrainStep" | "runOptimizerStep">;

async function trainStep(session: Steppable, step: number) {
  session.lazyResetGrad();
  const results = await session.runTrainStep(feeds(step));
  await session.runOptimizerStep();
  return results;
}

/** Trains six steps, cut and resumed behind some of them. Returns the last checkpoint. */
async function trained(artifacts: ReturnType<typeof artifactsOf>, cuts: readonly number[]) {
  let { checkpoint } = artifacts;
  let session = await TrainingSession.create(artifacts, device);
  for (let step = 0; step < 6; step++) {
    session.learningRate = 0.05;
    await trainStep(session, step);
    if (!cuts.includes(step)) continue;
    checkpoint = await session.saveCheckpoint();
    await session.release();
    session = await TrainingSession.create({ ...artifacts, checkpoint }, device);
  }
  checkpoint = await session.saveCheckpoint();
  await session.release();
  return checkpoint;
}

describe.each(targets)("of target %s", (target) => {
  test.each([false, true])("a resumed run (fused %s) draws the masks of an uncut one", async (fused) => {
    const artifacts = artifactsOf({ target, fused });
    const whole = await trained(artifacts, []);
    expect(await trained(artifacts, [1, 3, 4])).toEqual(whole);
    expect(decodeCheckpoint(whole).properties.get("random_step")).toBe(6n);
  });

  test("a warm-up draws no masks", async () => {
    const trainedAfter = async (warmUps: number) => {
      const session = await TrainingSession.create(artifactsOf({ target }), device);
      for (let i = 0; i < warmUps; i++) await session.warmUp(feeds(i));
      const { dropped } = await trainStep(session, 0);
      const { randomStep } = session;
      await session.release();
      return { dropped: dropped?.data, randomStep };
    };
    expect(await trainedAfter(2)).toEqual(await trainedAfter(0));
  });

  test("the training model has the random inputs behind those of the user, and the eval model has none", () => {
    const { trainingModel, evalModel, manifest } = artifactsOf({ target });
    const [training, evaluation] = [trainingModel, evalModel].map((bytes) => decodeModel(bytes));
    const names = training?.graph.inputs.map(({ name }) => name).slice(0, 5);
    expect(names).toEqual(["x", "target", "random_seed", "random_step", "hidden.weight"]);
    expect(manifest.randomInputs).toEqual(["random_seed", "random_step"]);
    const random = (training && readBindings(training, "training"))?.filter(({ role }) =>
      /^random/.test(role),
    );
    expect(random).toEqual([
      { role: "random-seed", input: "random_seed" },
      { role: "random-step", input: "random_step" },
    ]);
    expect(evaluation?.graph.inputs.map(({ name }) => name)).toEqual([
      ...["x", "target", "hidden.weight", "out.weight"],
    ]);
  });
});

test("each step drops others, a step of the same number the same, and another seed others", async () => {
  const artifacts = artifactsOf();
  const session = await TrainingSession.create(artifacts, device);
  expect(session.trainingInputNames).toEqual(["x", "target"]);
  const dropped = async (of = session) => (await of.runTrainStep(feeds(0)))["dropped"]?.data;
  const [first, second] = [await dropped(), await dropped()];
  expect(second).not.toEqual(first);
  expect(session.randomStep).toBe(2n);
  session.randomStep = 0n;
  expect(await dropped()).toEqual(first);
  await session.release();
  const checkpoint = decodeCheckpoint(artifacts.checkpoint);
  setRandomSeed(checkpoint, 4n);
  const other = { ...artifacts, checkpoint: encodeCheckpoint(checkpoint) };
  const reseeded = await TrainingSession.create(other, device);
  expect(await dropped(reseeded)).not.toEqual(first);
  await reseeded.release();
});

test("evaluation drops nothing", async () => {
  const session = await TrainingSession.create(artifactsOf(), device);
  const [first, second] = [await session.runEvalStep(feeds(0)), await session.runEvalStep(feeds(0))];
  expect(second["loss"]?.data).toEqual(first["loss"]?.data);
  const dropped = Array.from(first["dropped"]?.data ?? [], Number);
  expect(dropped.length).toBeGreaterThan(0);
  expect(dropped.filter((value) => !(value > 0))).toEqual([]);
  await session.release();
});

test("six steps in one call are those of calls of 2 and 4, resumed in between, and of single steps", async () => {
  const artifacts = artifactsOf();
  const inCalls = async (sizes: readonly number[], precision: StepPrecision = "float32") => {
    let { checkpoint } = artifacts;
    const losses: number[] = [];
    for (const size of sizes) {
      const session = await ChunkedSession.create({ ...artifacts, checkpoint }, device, { precision });
      expect(session.inputNames).toEqual(["x", "target"]);
      const given = feeds(losses.length, size);
      const results = await session.runSteps(given, new Float32Array(size).fill(0.05));
      losses.push(...Array.from(results["loss"]?.data ?? [], Number));
      checkpoint = await session.saveCheckpoint();
      await session.release();
    }
    return { losses, checkpoint };
  };
  const whole = await inCalls([6]);
  expect(await inCalls([2, 4])).toEqual(whole);
  expect(await inCalls([2, 4], "mixed")).toEqual(await inCalls([6], "mixed"));
  const session = await TrainingSession.create(artifacts, device);
  session.learningRate = 0.05;
  for (const [step, loss] of whole.losses.entries())
    expect(Number((await trainStep(session, step))["loss"]?.data[0])).toBeCloseTo(loss, 5);
  await session.release();
});

test("replicas drop others than each other, the same in every run, and go on as they would have", async () => {
  const artifacts = artifactsOf();
  const open = (checkpoint = artifacts.checkpoint) =>
    ReplicatedSession.create({ ...artifacts, checkpoint }, { replicas: 2, worker });
  const session = await open();
  const { x, target } = feeds(0);
  const twice = (tensor: Tensor) => {
    const half = Array.from(tensor.data, Number).slice(0, tensor.data.length / 2);
    return new Tensor("float32", Float32Array.from([...half, ...half]), tensor.dims);
  };
  const results = await session.runTrainStep({ x: twice(x), target: twice(target) });
  const dropped = Array.from(results["dropped"]?.data ?? [], Number);
  expect(dropped.slice(dropped.length / 2)).not.toEqual(dropped.slice(0, dropped.length / 2));
  await session.release();

  const run = async (cut: number | undefined) => {
    let replicas = await open();
    for (let step = 0; step < 4; step++) {
      replicas.learningRate = 0.05;
      await trainStep(replicas, step);
      if (step !== cut) continue;
      const checkpoint = encodeCheckpoint(await replicas.checkpoint());
      await replicas.release();
      replicas = await open(checkpoint);
    }
    const checkpoint = encodeCheckpoint(await replicas.checkpoint());
    await replicas.release();
    return checkpoint;
  };
  expect(await run(1)).toEqual(await run(undefined));
});

test("a model without dropouts has no random inputs and keeps no seed for them", () => {
  const { checkpoint, trainingModel, manifest } = generateArtifacts(mlp(), { loss: "mse" });
  expect([...decodeCheckpoint(checkpoint).properties.keys()]).toEqual(["epoch", "seed", "step"]);
  expect(manifest.randomInputs).toBeUndefined();
  expect(decodeModel(trainingModel).graph.inputs.map(({ name }) => name)).not.toContain("random_seed");
});
