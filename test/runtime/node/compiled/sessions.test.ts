import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../../../artifacts/index.ts";
import { floats, layer, loweringOf } from "../../../../graph-builder/index.ts";
import {
  ChunkedSession,
  type ChunkTrainer,
  type CompileCache,
  type Device,
  type Ingredients,
  type NamedTensors,
  type Trainer,
  TrainingSession,
  type TrainingSessionOptions,
  type TrainingSources,
} from "../../../../runtime/index.ts";
import { ChunkedThread, ModelCache, openDevice, ReplicatedSession } from "../../../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../../../shakenet/index.ts";
import { temporaryFolder } from "../../../support/shake.ts";
import { tinySettings } from "../../../support/tiny-run.ts";

const parent = temporaryFolder();
const artifacts = buildTrainingArtifacts(tinySettings({ anySize: true }));
const device = await openDevice("cpu", { threads: 1 });
const script = (path: string) => new URL(`../../../../dist/runtime/node/${path}.js`, import.meta.url);
const worker = script("replicas/replica-worker");
const inputSizes = [32, 16].map((side) => ({ images: [null, 3, side, side] }));
let number = 0;

/** A cache on disk that counts how often it compiled. */
class CountingCache implements CompileCache {
  readonly files = new ModelCache(join(parent, String(number++)));
  compilations = 0;

  remember<T>(ingredients: Ingredients, compile: () => T): Promise<T> {
    return this.files.remember(ingredients, () => {
      this.compilations++;
      return compile();
    });
  }

  get entries(): number {
    return readdirSync(this.files.folder).length;
  }
}

function feeds(step: number, count = 4, side = 32): NamedTensors {
  const numbers = (length: number) => Array.from({ length }, (_, i) => (i * 31 + step * 17) % 251);
  const mix = () =>
    new Tensor(
      "float32",
      Float32Array.from(numbers(3 * count), (n) => n / 251),
      [3, count],
    );
  const labels = BigInt64Array.from(numbers(count), (n) => BigInt(n % 10));
  return {
    images: new Tensor("uint8", Uint8Array.from(numbers(3 * count * side * side)), [count, 3, side, side]),
    labels: new Tensor("int64", labels, [count]),
    alpha: mix(),
    beta: mix(),
  };
}

/** The checkpoint after three steps. */
async function trained(session: (Trainer | ChunkTrainer) & { release(): Promise<void> }) {
  if ("stepsPerCall" in session) {
    const rates = Float32Array.of(0.1, 0.05, 0.02);
    await session.runSteps(session.stack([feeds(0), feeds(1), feeds(2)]), rates);
  } else {
    for (const [step, rate] of [0.1, 0.05, 0.02].entries()) {
      session.learningRate = rate;
      session.lazyResetGrad();
      await session.runTrainStep(feeds(step, 4, step === 1 ? 16 : 32));
      await session.runOptimizerStep();
    }
  }
  const bytes = encodeCheckpoint(await session.checkpoint());
  await session.release();
  return Buffer.from(bytes).toString("base64");
}

/** The ways to open a session, with a cache and without. */
const openings = {
  "one session": (cache?: CompileCache) => TrainingSession.create(artifacts, device, { cache }),
  "one session for two sizes": (cache?: CompileCache) =>
    TrainingSession.create(artifacts, device, { cache, inputSizes }),
  "two replicas": (cache?: CompileCache) =>
    ReplicatedSession.create(artifacts, { replicas: 2, worker, cache }),
  "a chunk of steps": (cache?: CompileCache) => ChunkedSession.create(artifacts, device, { cache }),
  "a chunk in mixed precision": (cache?: CompileCache) =>
    ChunkedSession.create(artifacts, device, { cache, precision: "mixed" }),
} as const;

test.each(Object.entries(openings))(
  "%s from the cache trains bit for bit what a fresh one does",
  async (_, open) => {
    const cache = new CountingCache();
    const fresh = await trained(await open());
    expect(await trained(await open(cache))).toBe(fresh);
    expect([cache.compilations, cache.entries]).toEqual([1, 1]);
    expect(await trained(await open(cache))).toBe(fresh);
    expect([cache.compilations, cache.entries]).toEqual([1, 1]);
  },
);

test("a chunk in a thread of its own keeps its models too", async () => {
  const cache = new CountingCache();
  const fresh = await trained(await ChunkedSession.create(artifacts, device));
  const open = () =>
    ChunkedThread.create(artifacts, {
      device: "cpu",
      threads: 1,
      worker: script("chunks/chunk-worker"),
      cache: cache.files,
    });
  for (let i = 0; i < 2; i++) {
    expect(await trained(await open())).toBe(fresh);
    // compiled by the program files of dist
    expect(cache.entries).toBe(1);
  }
});

test("a session from the cache checks feeds, evaluates and exports as a fresh one does", async () => {
  const cache = new CountingCache();
  const found: unknown[] = [];
  for (let i = 0; i < 2; i++) {
    const session = await TrainingSession.create(artifacts, device, { cache });
    const message = (given: NamedTensors) =>
      session.runTrainStep(given).then(
        () => "trained",
        (error: unknown) => String(error),
      );
    const labels = new Tensor("int64", BigInt64Array.of(1n, 2n, 3n, 10n, 0n), [5]);
    const wrong = new Tensor("int64", BigInt64Array.of(1n, 2n, 3n, 10n), [4]);
    const { loss } = await session.runEvalStep(feeds(0));
    const exported = await session.exportInferenceModel(["logits"]);
    found.push([
      session.trainingInputNames,
      session.evalOutputNames,
      await message({ ...feeds(0), labels }),
      await message({ ...feeds(0), labels: wrong }),
      Number(loss?.data[0]),
      Buffer.from(exported).toString("base64"),
    ]);
    await session.release();
  }
  expect(cache.compilations).toBe(1);
  expect(found[1]).toEqual(found[0]);
  expect(String(found[0])).toContain("The inputs disagree about batch: it is 4 in images, and 5 in labels.");
  expect(String(found[0])).toContain("10 in row 3");
});

/** A cache that writes down what it is asked for, and ends the opening of the session there. */
class RecordingCache implements CompileCache {
  readonly asked: string[] = [];

  async remember<T>({ text, files }: Ingredients): Promise<T> {
    this.asked.push(
      JSON.stringify([text, ...files.map((bytes) => bytes && Buffer.from(bytes).toString("hex"))]),
    );
    throw new Error("asked");
  }
}

test("the key changes with everything that the compiler reads", async () => {
  const cache = new RecordingCache();
  const { checkpoint, ...models } = artifacts;
  const { evalModel: _, ...withoutEval } = artifacts;
  const { optimizerModel } = buildTrainingArtifacts(tinySettings({ anySize: true, momentum: 0.5 }));
  const changed = (change: (state: Checkpoint) => void) => {
    const state = decodeCheckpoint(checkpoint.slice());
    change(state);
    return { ...models, checkpoint: encodeCheckpoint(state) };
  };
  const { env } = device.ort;
  const withVersion = { ...env, versions: { ...env.versions, common: "0.0.0" } };
  const open = (sources: TrainingSources, own = device, options: TrainingSessionOptions = {}) =>
    TrainingSession.create(sources, own, { ...options, cache });
  const on = (own: Partial<Device>) => open(artifacts, { ...device, ...own });
  const sessions: (() => Promise<unknown>)[] = [
    () => open(artifacts),
    () => open({ ...artifacts, trainingModel: buildTrainingArtifacts(tinySettings()).trainingModel }),
    () => open({ ...artifacts, optimizerModel }),
    () => open(withoutEval),
    () => open(changed(({ frozen }) => frozen.set("unused", floats([1])))),
    () => open(changed(({ frozen }) => frozen.set("unused", floats([1, 2])))),
    () => open(changed(({ trainable }) => trainable.set("unused", floats([1, 2])))),
    () => open(changed((state) => delete state.optimizer)),
    () => on({ lowering: loweringOf("portable") }),
    () => on({ lowering: loweringOf("cpu") }),
    () => on({ lowering: loweringOf("cpu", 4) }),
    () => on({ lowering: loweringOf("cuda") }),
    () => on({ lowering: loweringOf("webgpu") }),
    () => on({ name: "another device" }),
    () => on({ ort: { ...device.ort, env: withVersion } }),
    () => open(artifacts, device, { inputSizes }),
    () => open(artifacts, device, { inputSizes: inputSizes.slice(0, 1) }),
    () => ChunkedSession.create(artifacts, device, { cache }),
    () => ChunkedSession.create(artifacts, device, { cache, precision: "mixed" }),
    () => ReplicatedSession.create(artifacts, { replicas: 1, worker, cache }),
    () => ReplicatedSession.create(artifacts, { replicas: 2, worker, cache }),
    () => ReplicatedSession.create(artifacts, { replicas: 2, worker, cache, inputSizes }),
    () =>
      ReplicatedSession.create(artifacts, { replicas: 2, worker, cache, lowering: loweringOf("portable") }),
  ];
  for (const create of sessions) await expect(create()).rejects.toThrow("asked");
  expect(new Set(cache.asked).size).toBe(sessions.length);
});

test("other weights, a later step and other threads have the same entry", async () => {
  const cache = new CountingCache();
  const later = decodeCheckpoint(artifacts.checkpoint.slice());
  for (const { data } of later.trainable.values()) if (data instanceof Float32Array) data.fill(0.25);
  if (later.optimizer) later.optimizer.step = 77;
  const others = [
    [artifacts, device],
    [buildTrainingArtifacts(tinySettings({ anySize: true, seed: 5 })), device],
    [{ ...artifacts, checkpoint: encodeCheckpoint(later) }, await openDevice("cpu", { threads: 2 })],
  ] as const;
  for (const [sources, own] of others)
    await (await TrainingSession.create(sources, own, { cache })).release();
  expect([cache.compilations, cache.entries]).toEqual([1, 1]);
});

test("a lowering of somebody's own is compiled every time", async () => {
  const cache = new CountingCache();
  const own = { ...device, lowering: layer(loweringOf("cpu"), {}) };
  for (let i = 0; i < 2; i++) await (await TrainingSession.create(artifacts, own, { cache })).release();
  expect(cache.compilations).toBe(0);
  expect(() => cache.entries).toThrow();
});

test("what is refused is refused with a cache too, and not kept", async () => {
  const cache = new CountingCache();
  const fused = buildTrainingArtifacts(tinySettings({ fused: true }));
  for (let i = 0; i < 2; i++) {
    await expect(ReplicatedSession.create(fused, { replicas: 2, worker, cache })).rejects.toThrow(
      "build the artifacts without --fused",
    );
    const { trainable } = decodeCheckpoint(artifacts.checkpoint);
    const empty = { trainable, frozen: new Map(), properties: new Map() };
    const sources = { ...artifacts, checkpoint: encodeCheckpoint(empty) };
    await expect(TrainingSession.create(sources, device, { cache })).rejects.toThrow("which the models read");
  }
  expect(() => cache.entries).toThrow();
});
