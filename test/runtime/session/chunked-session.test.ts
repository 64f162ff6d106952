import { expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint } from "../../../artifacts/index.ts";
import { RandomStream, UserError } from "../../../graph-builder/index.ts";
import {
  ChunkedSession,
  type ChunkSettings,
  type Device,
  type NamedTensors,
} from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { openTiny, tinySettings } from "../../support/tiny-run.ts";

const BATCH = 4;
const STEPS = 8;
const artifacts = buildTrainingArtifacts(tinySettings());
const rates = Float32Array.from({ length: STEPS }, (_, i) => 0.05 - 0.005 * i);

function device(): Promise<Device> {
  return openDevice("cpu", { threads: 1 });
}

/** The feeds of some steps out of eight, one after the other. */
function feedsOf({ ort }: Device, first: number, count: number): NamedTensors {
  const random = new RandomStream(5, "chunk");
  const values = (size: number, at: number) =>
    Array.from({ length: count * size }, (_, i) => random.uniform(at + first * size + i));
  const images = Uint8Array.from(values(BATCH * 3072, 0), (value) => value * 256);
  const labels = BigInt64Array.from(values(BATCH, 1e7), (value) => BigInt(Math.floor(value * 10)));
  const coefficients = (at: number) =>
    new ort.Tensor("float32", Float32Array.from(values(3 * BATCH, at)), [count, 3, BATCH]);
  return {
    images: new ort.Tensor("uint8", images, [count, BATCH, 3, 32, 32]),
    labels: new ort.Tensor("int64", labels, [count, BATCH]),
    alpha: coefficients(2e7),
    beta: coefficients(3e7),
  };
}

/**
 * Takes eight steps in calls of the given sizes, from a saved checkpoint before each; returns the losses and
 * the last checkpoint.
 */
async function trainIn(sizes: readonly number[], settings: ChunkSettings = {}) {
  const opened = await device();
  let checkpoint = artifacts.checkpoint;
  const losses: number[] = [];
  let first = 0;
  for (const size of sizes) {
    const session = await ChunkedSession.create({ ...artifacts, checkpoint }, opened, settings);
    const feeds = feedsOf(opened, first, size);
    const { loss } = await session.runSteps(feeds, rates.slice(first, first + size));
    losses.push(...((loss?.data ?? []) as Float32Array));
    checkpoint = await session.saveCheckpoint();
    first += size;
    await session.release();
  }
  return { losses, checkpoint };
}

test("eight steps in one call are bit for bit those of calls of 3 and 5, and of one step each, resumed in between", async () => {
  const whole = await trainIn([8]);
  expect(whole.losses).toHaveLength(8);
  expect(new Set(whole.losses).size).toBe(8);
  for (const sizes of [[3, 5], Array<number>(8).fill(1)]) {
    const parts = await trainIn(sizes);
    expect(parts.losses).toEqual(whole.losses);
    expect(Buffer.compare(parts.checkpoint, whole.checkpoint)).toBe(0);
  }
});

test("a call of several steps trains the parameters bit for bit as a TrainingSession does", async () => {
  const { session, device: opened } = await openTiny(artifacts);
  const { Tensor } = opened.ort;
  for (let i = 0; i < STEPS; i++) {
    const feeds = Object.entries(feedsOf(opened, i, 1)).map(([name, { type, data, dims }]) => [
      name,
      new Tensor(type as "float32", data as Float32Array, dims.slice(1)),
    ]);
    session.lazyResetGrad();
    session.learningRate = rates[i] ?? 0;
    await session.runTrainStep(Object.fromEntries(feeds));
    await session.runOptimizerStep();
  }
  const chunk = decodeCheckpoint((await trainIn([8])).checkpoint, "the chunk's checkpoint");
  for (const name of session.parameterNames()) {
    expect(chunk.trainable.get(name)?.data).toEqual((await session.getParameter(name)).data);
  }
  expect(chunk.optimizer?.step).toBe(STEPS);
  const mean = (await session.getParameter("stem.bn.running_mean")).data as Float32Array;
  expect(chunk.frozen.get("stem.bn.running_mean")?.data).toEqual(mean);
  const variance = (await session.getParameter("stem.bn.running_var")).data as Float32Array;
  for (const [i, value] of variance.entries()) {
    expect(Number(chunk.frozen.get("stem.bn.running_var")?.data[i]) / value).toBeCloseTo(1, 5);
  }
});

test("mixed precision follows float32, and its loss scale is in the checkpoint", async () => {
  const exact = await trainIn([8]);
  const mixed = await trainIn([3, 5], { precision: "mixed" });
  for (const [i, loss] of mixed.losses.entries()) expect(loss / (exact.losses[i] ?? 0)).toBeCloseTo(1, 2);
  const { properties } = decodeCheckpoint(mixed.checkpoint, "the checkpoint");
  expect(properties.get("loss_scale")).toBe(65536);
  expect(properties.get("good_steps")).toBe(8);
});

test("a step whose gradients overflow changes nothing but the loss scale, which it halves", async () => {
  const opened = await device();
  const { checkpoint, ...models } = artifacts;
  const before = decodeCheckpoint(checkpoint, "checkpoint");
  const session = await ChunkedSession.create({ checkpoint, ...models }, opened, { precision: "mixed" });
  await session.runSteps(feedsOf(opened, 0, 1), rates.slice(0, 1));
  const scaled = await session.checkpoint();
  scaled.properties.set("loss_scale", 2 ** 40);
  const high = await ChunkedSession.create({ checkpoint: encodeCheckpoint(scaled), ...models }, opened, {
    precision: "mixed",
  });
  await high.runSteps(feedsOf(opened, 1, 2), rates.slice(1, 3));
  const after = await high.checkpoint();
  expect(high.lossScale).toBe(2 ** 38);
  expect(after.properties.get("good_steps")).toBe(0);
  for (const [name, tensor] of scaled.trainable) expect(after.trainable.get(name)?.data).toEqual(tensor.data);
  for (const [name, tensor] of scaled.frozen) expect(after.frozen.get(name)?.data).toEqual(tensor.data);
  expect(after.trainable.get("fc.weight")?.data).not.toEqual(before.trainable.get("fc.weight")?.data);
});

test("bfloat16 on the CPU, which has no operators of it, is refused in one sentence", async () => {
  const opened = ChunkedSession.create(artifacts, await device(), { precision: "bfloat16" });
  await expect(opened).rejects.toThrow(
    /^The device cpu cannot run the model \(Could not find an implementation for [^()]+\(\d+\) node with name '[^']+'\); try another device, or/,
  );
});

test("artifacts without an optimizer model are refused in one sentence", async () => {
  const { optimizerModel: _, ...without } = artifacts;
  await expect(ChunkedSession.create(without, await device())).rejects.toThrow(
    new UserError("Several steps a call need an optimizer model beside the training model.", {
      code: "model-missing",
    }),
  );
});
