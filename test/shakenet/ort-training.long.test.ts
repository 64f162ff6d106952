import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, splitAverages } from "../../artifacts/index.ts";
import { floats, type Tensor as TensorProto, UserError } from "../../graph-builder/index.ts";
import { RandomStream } from "../../graph-builder/random.ts";
import { type NamedTensors, type Trainer, TrainingSession } from "../../runtime/index.ts";
import { OrtTrainingSession, openDevice } from "../../runtime/node/index.ts";
import {
  buildTrainingArtifacts,
  fuseArtifacts,
  type ShakeNetArtifacts,
  unfuseCheckpoint,
} from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const images = 8;
const blocks = 3;

function feeds(step: number): NamedTensors {
  const random = new RandomStream(5, `pixels of step ${step}`);
  const pixels = Uint8Array.from({ length: images * 3072 }, (_, i) => random.integer(i, 256));
  const coefficients = (name: string) => {
    const data = new Float32Array(blocks * images);
    new RandomStream(5, `${name} of step ${step}`).fillUniform(data);
    return new Tensor("float32", data, [blocks, images]);
  };
  return {
    images: new Tensor("uint8", pixels, [images, 3, 32, 32]),
    labels: new Tensor(
      "int64",
      BigInt64Array.from({ length: images }, (_, i) => BigInt((i + step) % 10)),
      [images],
    ),
    alpha: coefficients("alpha"),
    beta: coefficients("beta"),
  };
}

const fused = buildTrainingArtifacts(tinySettings({ fused: true }));
const stock = buildTrainingArtifacts(tinySettings({ optimizer: "sgd" }));

async function openOurs(artifacts: ShakeNetArtifacts): Promise<TrainingSession> {
  return TrainingSession.create(artifacts, await openDevice("cpu", { threads: 1 }));
}

async function step(session: Trainer, number: number, learningRate: number): Promise<number> {
  session.learningRate = learningRate;
  session.lazyResetGrad();
  const { loss } = await session.runTrainStep(feeds(number));
  await session.runOptimizerStep();
  return Number(loss?.data[0]);
}

async function values(session: TrainingSession | OrtTrainingSession): Promise<Map<string, Float32Array>> {
  const { trainable, frozen } = await session.checkpoint();
  return new Map([...trainable, ...frozen].map(([name, { data }]) => [name, data as Float32Array]));
}

const difference = (a: ArrayLike<number> = [], b: ArrayLike<number> = []) =>
  Math.max(
    a.length - b.length,
    b.length - a.length,
    ...Array.from(a, (x, i) => Math.abs(x - (b[i] ?? Number.NaN))),
  );

// the two round differently: 1e-7 a step until a value crosses a ReLU's kink in one of them alone, which
// moves the loss by some 1e-5;
// AdamW divides by the root of tiny moments and magnifies that
test.each([
  { optimizer: "sgd-nesterov", isFused: true, learningRate: 0.02, threads: 1 },
  { optimizer: "sgd-nesterov", isFused: true, learningRate: 0.02, threads: 2 },
  { optimizer: "sgd", isFused: true, learningRate: 0.05, threads: 1 },
  { optimizer: "adamw", isFused: true, learningRate: 0.001, threads: 1 },
  { optimizer: "sgd", isFused: false, learningRate: 0.001, threads: 2 },
  { optimizer: "adamw", isFused: false, learningRate: 0.001, threads: 1 },
] as const)(
  "$optimizer, fused: $isFused, takes ONNX Runtime's own steps as ours on $threads threads",
  async ({ optimizer, isFused, learningRate, threads }) => {
    const artifacts = buildTrainingArtifacts(tinySettings({ width: 4, optimizer, fused: isFused }));
    const theirs = await OrtTrainingSession.create(artifacts, { threads });
    const ours = await openOurs(artifacts);
    for (let i = 0; i < 20; i++) {
      const [a, b] = [await step(theirs, i, learningRate), await step(ours, i, learningRate)];
      expect(Math.abs(a - b) / b, `step ${i + 1}: ${a} and ${b}`).toBeLessThan(i < 3 ? 1e-6 : 1e-3);
    }
    const [a, b] = [await values(theirs), await values(ours)];
    expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
    for (const [name, data] of a) expect(difference(data, b.get(name)), name).toBeLessThan(0.02);
    await theirs.release();
    await ours.release();
  },
);

test("the first update of a fused model is the other engine's to the last digits, moments too", async () => {
  const [theirs, ours] = [await OrtTrainingSession.create(fused), await openOurs(fused)];
  for (const session of [theirs, ours]) await step(session, 0, 0.05);
  const reference = await values(ours);
  for (const [name, data] of await values(theirs))
    expect(difference(data, reference.get(name)), name).toBeLessThan(2e-6);
  expect(reference.get("stem.conv.weight.momentum")?.some((value) => value !== 0)).toBe(true);
  await theirs.release();
});

test("inputs and outputs have their own names, for evaluation too", async () => {
  for (const artifacts of [fused, stock]) {
    const session = await OrtTrainingSession.create(artifacts);
    const ours = await openOurs(artifacts);
    for (const list of [
      "trainingInputNames",
      "trainingOutputNames",
      "evalInputNames",
      "evalOutputNames",
    ] as const) {
      expect(session[list], list).toEqual(ours[list]);
    }
    expect(session.evalOutputNames).toEqual(["loss", "correct", "logits"]);
    expect(Object.keys(await session.runTrainStep(feeds(0)))).toEqual(["loss", "correct"]);
    expect(Object.keys(await session.runTrainStep(feeds(0), ["loss"]))).toEqual(["loss"]);
    expect(Object.keys(await session.runEvalStep(feeds(0), ["logits"]))).toEqual(["logits"]);
    await expect(session.runTrainStep(feeds(0), ["logits"])).rejects.toThrow("There is no output logits");
    await session.release();
  }
});

test("evaluation reads the running statistics, and names its outputs rightly", async () => {
  const [theirs, ours] = [await OrtTrainingSession.create(fused), await openOurs(fused)];
  const before = (await theirs.runEvalStep(feeds(1))).logits?.data;
  for (const session of [theirs, ours]) await step(session, 0, 0.05);
  const [a, b] = [await theirs.runEvalStep(feeds(1)), await ours.runEvalStep(feeds(1))];
  expect(a.logits?.dims).toEqual([images, 10]);
  expect(a.correct?.type).toBe("int64");
  expect(difference(a.logits?.data as Float32Array, b.logits?.data as Float32Array)).toBeLessThan(1e-5);
  expect(a.loss?.data[0]).toBeCloseTo(Number(b.loss?.data[0]), 5);
  expect(a.logits?.data).not.toEqual(before);
  await theirs.release();
});

test("feeds go by name, in any order and with names that no model has", async () => {
  const { images: pixels, labels, alpha, beta } = feeds(0) as Required<NamedTensors>;
  const losses: unknown[] = [];
  for (const given of [
    { images: pixels, labels, alpha, beta },
    { beta, alpha, labels, images: pixels },
    { other: labels, labels, beta, images: pixels, alpha },
  ]) {
    const session = await OrtTrainingSession.create(fused);
    losses.push((await session.runTrainStep(given as NamedTensors)).loss?.data[0]);
    await session.release();
  }
  expect(losses[1]).toBe(losses[0]);
  expect(losses[2]).toBe(losses[0]);
});

test("a missing input, another type and another shape are named, and the session goes on", async () => {
  const session = await OrtTrainingSession.create(fused);
  const { labels: _, ...unlabelled } = feeds(0);
  await expect(session.runTrainStep(unlabelled)).rejects.toThrow("The input labels is missing.");
  await expect(session.runTrainStep({ ...unlabelled, lables: feeds(0).labels as Tensor })).rejects.toThrow(
    "The input labels is missing. Did you mean lables?",
  );
  const wrong = new Tensor("float32", new Float32Array(images), [images]);
  await expect(session.runTrainStep({ ...feeds(0), labels: wrong })).rejects.toThrow(
    "The input labels is float32, and must be int64.",
  );
  const flat = new Tensor("uint8", new Uint8Array(images * 3072), [images, 3072]);
  await expect(session.runTrainStep({ ...feeds(0), images: flat })).rejects.toThrow(/images/);
  await expect(session.runTrainStep({ ...feeds(0), images: flat })).rejects.toThrow(UserError);
  const words = new Tensor("string", ["a"], [1]);
  await expect(session.runTrainStep({ ...feeds(0), images: words })).rejects.toThrow(/string/);
  expect(await step(session, 0, 0.05)).toBeGreaterThan(0);
  await session.release();
});

test("a stock optimizer model steps at 0.001 alone, and says how to have another rate", async () => {
  const session = await OrtTrainingSession.create(stock);
  expect(session.learningRate).toBe(0.001);
  session.learningRate = Math.fround(0.001);
  expect(() => {
    session.learningRate = 0.1;
  }).toThrow(/the rate 0\.001 alone, not 0\.1: build the artifacts with --fused/);
  await session.release();
  const nesterov = buildTrainingArtifacts(tinySettings());
  await expect(OrtTrainingSession.create(nesterov)).rejects.toThrow(
    /holds no optimizer of ONNX Runtime .* --fused/,
  );
});

test("a session without an eval or optimizer model says so", async () => {
  const { evalModel: _, optimizerModel: __, ...bare } = stock;
  const session = await OrtTrainingSession.create(bare);
  expect(session.evalInputNames).toEqual([]);
  await expect(session.runEvalStep(feeds(0))).rejects.toThrow("The session has no eval model.");
  await expect(session.runOptimizerStep()).rejects.toThrow("The session has no optimizer model.");
  await session.release();
});

test("gradients add up until they are reset", async () => {
  const session = await OrtTrainingSession.create(stock);
  const moved = async (steps: number) => {
    const before = (await values(session)).get("fc.bias");
    session.lazyResetGrad();
    for (let i = 0; i < steps; i++) await session.runTrainStep(feeds(0));
    await session.runOptimizerStep();
    return (await values(session)).get("fc.bias")?.map((value, i) => value - (before?.[i] ?? 0)) ?? [];
  };
  const [once, twice] = [await moved(1), await moved(2)];
  for (const [i, change] of once.entries()) expect(twice[i]).toBeCloseTo(2 * change, 5);
  await session.release();
});

test("damaged files, and models that ONNX Runtime refuses by an exception, give its sentence; the next session works", async () => {
  const open = (changes: Partial<ShakeNetArtifacts>) => OrtTrainingSession.create({ ...stock, ...changes });
  const half = stock.trainingModel.subarray(0, stock.trainingModel.length / 2);
  await expect(open({ trainingModel: half })).rejects.toThrow(UserError);
  await expect(open({ checkpoint: stock.checkpoint.subarray(0, 500) })).rejects.toThrow(UserError);
  await expect(open({ evalModel: stock.evalModel.subarray(0, 3000) })).rejects.toThrow(
    /^ONNX Runtime's TrainingCreateSession failed: .*protobuf/i,
  );
  // a trained parameter that the model lacks is an error that ONNX Runtime throws
  const { trainable, ...rest } = decodeCheckpoint(stock.checkpoint);
  const stranger = new Map([...trainable, ["fc.stranger", floats([1, 2])] as const]);
  const checkpoint = encodeCheckpoint({ ...rest, trainable: stranger, optimizer: undefined });
  await expect(open({ checkpoint })).rejects.toThrow(
    /^ONNX Runtime's TrainingCreateSession failed: .*Trying to get a Tensor/,
  );
  await expect(open({ checkpoint })).rejects.toThrow(UserError);
  const session = await open({});
  expect(await step(session, 0, 0.001)).toBeGreaterThan(0);
  await session.release();
});

test("a checkpoint opens in the other engine and steps on alike", async () => {
  for (const [artifacts, rate] of [
    [fused, 0.05],
    [stock, 0.001],
  ] as const) {
    const theirs = await OrtTrainingSession.create(artifacts);
    for (let i = 0; i < 3; i++) await step(theirs, i, rate);
    const checkpoint = encodeCheckpoint(await theirs.checkpoint());
    expect(decodeCheckpoint(checkpoint).optimizer?.step).toBe(3);
    const ours = await openOurs({ ...artifacts, checkpoint });
    const again = await OrtTrainingSession.create({ ...artifacts, checkpoint });
    const [a, b, c] = [await step(theirs, 3, rate), await step(ours, 3, rate), await step(again, 3, rate)];
    expect(c).toBe(a);
    expect(Math.abs(a - b) / b).toBeLessThan(1e-6);
    const reference = await values(ours);
    for (const [name, data] of await values(theirs))
      expect(difference(data, reference.get(name)), name).toBeLessThan(1e-4);
    expect(encodeCheckpoint(await again.checkpoint())).toEqual(encodeCheckpoint(await theirs.checkpoint()));
    await theirs.release();
    await again.release();
  }
});

test("a stock AdamW that has stepped leaves its moments out of the checkpoint, as they cannot be read", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings({ optimizer: "adamw" }));
  const session = await OrtTrainingSession.create(artifacts);
  expect((await session.checkpoint()).optimizer?.momenta.size).toBeGreaterThan(0);
  await step(session, 0, 0.001);
  expect((await session.checkpoint()).optimizer).toBeUndefined();
  const checkpoint = encodeCheckpoint(await session.checkpoint());
  const again = await OrtTrainingSession.create({ ...artifacts, checkpoint });
  expect(await step(again, 1, 0.001)).toBeGreaterThan(0);
  await session.release();
  await again.release();
});

test("all parameters go out and in as one vector", async () => {
  const session = await OrtTrainingSession.create(stock);
  const ours = await openOurs(stock);
  for (const trainableOnly of [true, false]) {
    const parameters = await session.getContiguousParameters(trainableOnly);
    expect(parameters.data).toEqual((await ours.getContiguousParameters(trainableOnly)).data);
    expect(await session.getParametersSize(trainableOnly)).toBe(parameters.data.length);
  }
  const doubled = (await session.getContiguousParameters()).data as Float32Array;
  for (const [i, value] of doubled.entries()) doubled[i] = 2 * value;
  await session.loadParametersBuffer(new Uint8Array(doubled.buffer));
  expect((await session.getContiguousParameters()).data).toEqual(doubled);
  await expect(session.loadParametersBuffer(new Uint8Array(8))).rejects.toThrow(/and the buffer has 8/);
  await session.release();
});

test.each(["sgd-nesterov", "sgd", "adamw"] as const)(
  "a run of %s that was not fused is fused with its moments, and laid out again as it was",
  async (optimizer) => {
    const artifacts = buildTrainingArtifacts(tinySettings({ optimizer }));
    const ours = await openOurs(artifacts);
    for (let i = 0; i < 2; i++) await step(ours, i, 0.002);
    const begun = { ...artifacts, checkpoint: encodeCheckpoint(await ours.checkpoint()) };
    const made = fuseArtifacts(begun);
    expect(unfuseCheckpoint(made.checkpoint, begun)).toEqual(begun.checkpoint);
    const theirs = await OrtTrainingSession.create(made);
    const [a, b] = [await step(theirs, 2, 0.002), await step(ours, 2, 0.002)];
    expect(Math.abs(a - b) / b).toBeLessThan(1e-6);
    const [mine, reference] = [
      decodeCheckpoint(unfuseCheckpoint(encodeCheckpoint(await theirs.checkpoint()), begun)),
      await ours.checkpoint(),
    ];
    expect(mine.optimizer?.step).toBe(3);
    for (const [name, { data }] of reference.trainable) {
      expect(
        difference(mine.trainable.get(name)?.data as Float32Array, data as Float32Array),
        name,
      ).toBeLessThan(1e-4);
      for (const [i, moment] of (reference.optimizer?.momenta.get(name) ?? []).entries()) {
        const other = mine.optimizer?.momenta.get(name)?.[i]?.data as Float32Array;
        expect(difference(other, moment.data as Float32Array), `${name}, moment ${i}`).toBeLessThan(1e-3);
      }
    }
    expect(fuseArtifacts(made)).toBe(made);
    await theirs.release();
  },
);

test("averages of ONNX Runtime's own training equal those of our session, and outlive the way to and fro", async () => {
  const lookahead = { decay: 0.5, pull: true };
  const ends: ReadonlyMap<string, TensorProto>[] = [];
  for (const session of [await openOurs(fused), await OrtTrainingSession.create(fused)]) {
    for (const number of [0, 1]) {
      await step(session, number, 0.05);
      await session.averageWeights(lookahead);
    }
    const bytes = encodeCheckpoint(await session.checkpoint());
    await session.release();
    const again = await OrtTrainingSession.create({ ...fused, checkpoint: bytes });
    await step(again, 2, 0.05);
    await again.averageWeights(lookahead);
    const { checkpoint, averages } = splitAverages(await again.checkpoint());
    for (const [name, tensor] of averages) {
      expect(tensor.data, name).toEqual(checkpoint.frozen.get(name)?.data);
    }
    ends.push(averages);
    await again.release();
  }
  const [ours = new Map(), theirs = new Map()] = ends;
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  for (const [name, { data }] of ours) {
    for (const [i, value] of data.entries()) {
      expect(Math.abs(Number(value) - Number(theirs.get(name)?.data[i])), name).toBeLessThan(1e-4);
    }
  }
});
