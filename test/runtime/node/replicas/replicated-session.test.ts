import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  generateArtifacts,
  splitAverages,
} from "../../../../artifacts/index.ts";
import { RandomStream, UserError } from "../../../../graph-builder/index.ts";
import { floatData } from "../../../../runtime/device/tensors.ts";
import { type NamedTensors, train } from "../../../../runtime/index.ts";
import { ReplicaError, ReplicatedSession } from "../../../../runtime/node/index.ts";
import { buildTrainingArtifacts, type ShakeNetArtifacts } from "../../../../shakenet/index.ts";
import { mlp } from "../../../support/artifact-models.ts";
import { dyingReplica } from "../../../support/dying-replica.ts";
import { givenArraysReplica } from "../../../support/given-arrays-replica.ts";
import { openTiny, tinyRun, tinySettings } from "../../../support/tiny-run.ts";

const worker = new URL("../../../../dist/runtime/node/replicas/replica-worker.js", import.meta.url);
const blocks = 3;

/** Images `from` to `to` of an endless batch, with their labels and mixes. */
function feeds(from: number, to: number): NamedTensors {
  const count = to - from;
  const random = (stream: string) => new RandomStream(9, stream);
  const pixels = Uint8Array.from({ length: count * 3072 }, (_, i) =>
    random("pixels").integer(from * 3072 + i, 256),
  );
  const labels = BigInt64Array.from({ length: count }, (_, i) => BigInt((from + i) % 10));
  const mix = (stream: string) => {
    const values = Array.from({ length: blocks }, (_, block) =>
      Array.from({ length: count }, (__, i) => random(`${stream} ${block}`).uniform(from + i)),
    );
    return new Tensor("float32", Float32Array.from(values.flat()), [blocks, count]);
  };
  return {
    images: new Tensor("uint8", pixels, [count, 3, 32, 32]),
    labels: new Tensor("int64", labels, [count]),
    alpha: mix("alpha"),
    beta: mix("beta"),
  };
}

function open(artifacts: ShakeNetArtifacts, replicas = 2, checkpoint = artifacts.checkpoint) {
  return ReplicatedSession.create({ ...artifacts, checkpoint }, { replicas, worker });
}

async function step(session: ReplicatedSession, batch: NamedTensors): Promise<NamedTensors> {
  session.learningRate = 0.1;
  session.lazyResetGrad();
  const outputs = await session.runTrainStep(batch);
  await session.runOptimizerStep();
  return outputs;
}

test("two replicas step by the average of their halves' gradients, weighted by their images", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings({ optimizer: "sgd" }));
  const replicas = await open(artifacts);
  const outputs = await step(replicas, feeds(0, 5));
  const { trainable } = await replicas.checkpoint();
  await replicas.release();
  type Tensors = ReadonlyMap<string, Float32Array>;
  const halves: { share: number; loss: number; correct: number; gradients: Tensors; weights: Tensors }[] = [];
  for (const [from, to] of [
    [0, 3],
    [3, 5],
  ] as const) {
    const { session } = await openTiny(artifacts);
    const { loss, correct } = await session.runTrainStep(feeds(from, to));
    const gradients = new Map<string, Float32Array>();
    const weights = new Map<string, Float32Array>();
    for (const name of session.parameterNames()) {
      gradients.set(name, floatData(await session.getGradient(name)));
      weights.set(name, floatData(await session.getParameter(name)));
    }
    halves.push({
      share: (to - from) / 5,
      loss: Number(loss?.data[0]),
      correct: Number(correct?.data[0]),
      gradients,
      weights,
    });
    await session.release();
  }
  expect(Number(outputs.loss?.data[0])).toBeCloseTo(
    halves.reduce((sum, { share, loss }) => sum + share * loss, 0),
    5,
  );
  expect(Number(outputs.correct?.data[0])).toBe(halves.reduce((sum, { correct }) => sum + correct, 0));
  for (const [name, { data }] of trainable) {
    const before = halves[0]?.weights.get(name);
    const worst = Array.from(data as Float32Array, (value, i) => {
      const gradient = halves.reduce(
        (sum, half) => sum + half.share * (half.gradients.get(name)?.[i] ?? 0),
        0,
      );
      return Math.abs(value - ((before?.[i] ?? 0) - 0.1 * gradient));
    });
    expect(Math.max(...worst), name).toBeLessThan(1e-6);
  }
});

test.each([
  [2, "sgd-nesterov"],
  [3, "adamw"],
] as const)(
  "%i replicas with %s give the same bytes every time, cut and opened again or not",
  async (replicas, optimizer) => {
    const artifacts = buildTrainingArtifacts(tinySettings({ optimizer }));
    const run = async (cut: boolean) => {
      let session = await open(artifacts, replicas);
      for (let i = 0; i < 3; i++) {
        if (cut && i === 2) {
          const saved = encodeCheckpoint(await session.checkpoint());
          await session.release();
          session = await open(artifacts, replicas, saved);
        }
        await step(session, feeds(5 * i, 5 * i + 5));
      }
      const bytes = encodeCheckpoint(await session.checkpoint());
      await session.release();
      return bytes;
    };
    const whole = await run(false);
    expect(await run(false)).toEqual(whole);
    expect(await run(true)).toEqual(whole);
  },
);

test("every replica has the parameters that any of them updated, and a checkpoint the moments of all", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const replicas = await open(artifacts, 3);
  const twice = async (batch: NamedTensors) => {
    await step(replicas, batch);
    return step(replicas, batch);
  };
  // one image goes to the first replica alone, whose update a single session makes too
  const [first] = [await twice(feeds(0, 1))];
  const { session: single } = await openTiny(artifacts);
  single.learningRate = 0.1;
  for (const outputs of [undefined, first]) {
    single.lazyResetGrad();
    const { loss } = await single.runTrainStep(feeds(0, 1));
    await single.runOptimizerStep();
    if (outputs) expect(Number(outputs.loss?.data[0])).toBeCloseTo(Number(loss?.data[0]), 6);
  }
  const [ours, theirs] = [await replicas.checkpoint(), await single.checkpoint()];
  for (const [name, { data }] of theirs.trainable) {
    expect(ours.trainable.get(name)?.data, name).toEqual(data);
    expect(ours.optimizer?.momenta.get(name)?.[0]?.data, name).toEqual(
      theirs.optimizer?.momenta.get(name)?.[0]?.data,
    );
  }
  // three images go one to each: the second and the third compute with what the first updated
  const { loss } = await replicas.runTrainStep(feeds(0, 3));
  const losses: number[] = [];
  for (const i of [0, 1, 2]) losses.push(Number((await single.runTrainStep(feeds(i, i + 1))).loss?.data[0]));
  expect(Number(loss?.data[0])).toBeCloseTo(losses.reduce((sum, value) => sum + value, 0) / 3, 5);
  await single.release();
  await replicas.release();
});

test("gradients of two batches add up before one update", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings({ optimizer: "sgd" }));
  const moved = async (batches: number) => {
    const session = await open(artifacts);
    session.learningRate = 0.01;
    const before = (await session.checkpoint()).trainable.get("fc.bias")?.data as Float32Array;
    for (let i = 0; i < batches; i++) await session.runTrainStep(feeds(0, 4));
    await session.runOptimizerStep();
    const after = (await session.checkpoint()).trainable.get("fc.bias")?.data as Float32Array;
    await session.release();
    return Array.from(after, (value, i) => value - (before[i] ?? 0));
  };
  const [once, twice] = [await moved(1), await moved(2)];
  for (const [i, change] of once.entries()) expect(twice[i]).toBeCloseTo(2 * change, 6);
});

test("a mistake in the feeds keeps its sentence, and the session goes on", async () => {
  const session = await open(buildTrainingArtifacts(tinySettings()));
  const { images, labels, alpha, beta } = feeds(0, 4);
  await expect(session.runTrainStep({ images, labels, alpha } as NamedTensors)).rejects.toThrow(
    "The input beta is missing",
  );
  const fewer = { images, labels: feeds(0, 3).labels, alpha, beta } as NamedTensors;
  await expect(session.runTrainStep(fewer)).rejects.toThrow(
    "The inputs disagree about batch: it is 4 in images, and 3 in labels.",
  );
  await expect(step(session, feeds(0, 4))).resolves.toHaveProperty("loss");
  await session.release();
});

test("a fused model is refused, and so is a replica that dies at once", async () => {
  await expect(open(buildTrainingArtifacts(tinySettings({ fused: true })))).rejects.toThrow(UserError);
  const { checkpoint, trainingModel } = buildTrainingArtifacts(tinySettings());
  const dying = new URL(`data:text/javascript,${encodeURIComponent("process.exit(3)")}`);
  const sources = { checkpoint, trainingModel };
  await expect(ReplicatedSession.create(sources, { replicas: 2, worker: dying })).rejects.toThrow(
    /Replica \d of 2 ended with exit code 3/,
  );
});

test.each([
  ["train", "exit", /^Replica \d of 2 ended with exit code 7/],
  ["train", "throw", /^Replica \d of 2 died: out of luck/],
  ["update", "exit", /^Replica \d of 2 ended with exit code 7/],
] as const)(
  "a replica that dies in the middle of a step (%s, by %s) stops the run with its error",
  async (call, ending, sentence) => {
    const sources = buildTrainingArtifacts(tinySettings());
    const dying = new URL(dyingReplica(call, ending, worker));
    const session = await ReplicatedSession.create(sources, { replicas: 2, worker: dying });
    const single = await tinyRun();
    const steps: number[] = [];
    const run = async () => {
      for await (const event of train(session, single.task, single.settings))
        if (event.type === "step") steps.push(event.step);
    };
    const error = await run().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ReplicaError);
    expect((error as Error).message).toMatch(sentence);
    expect(steps).toEqual([1, 2]);
    expect(decodeCheckpoint(single.saved.get("last") ?? new Uint8Array()).properties.get("step")).toBe(2n);
    await expect(session.runTrainStep(feeds(0, 4))).rejects.toBe(error);
    await session.release();
  },
);

test("a replica whose session fails ends all of them and is named, with the reason", async () => {
  const failingWorker = new URL(dyingReplica("train", "fail", worker));
  const artifacts = buildTrainingArtifacts(tinySettings());
  const session = await ReplicatedSession.create(artifacts, { replicas: 2, worker: failingWorker });
  for (let i = 0; i < 2; i++) await step(session, feeds(0, 4));
  const failing = session.runTrainStep(feeds(0, 4));
  await expect(failing).rejects.toBeInstanceOf(ReplicaError);
  await expect(failing).rejects.toMatchObject({
    message: expect.stringMatching(/^Replica \d of 2 failed: out of luck/),
    code: "replica-failed",
    details: { replica: expect.stringMatching(/^Replica \d of 2$/), how: "failed", reason: "out of luck" },
  });
  await expect(step(session, feeds(0, 4))).rejects.toThrow(/^Replica \d of 2 failed: /);
  await session.release();
});

test("a session that was released answers no more, and is released once", async () => {
  const session = await open(buildTrainingArtifacts(tinySettings()));
  const [first, second] = await Promise.allSettled([session.release(), session.release()]);
  expect([first.status, second.status]).toEqual(["fulfilled", "rejected"]);
  await expect(session.runTrainStep(feeds(0, 2))).rejects.toThrow(
    "The session was released: runTrainStep cannot be called any more.",
  );
  await expect(session.release()).rejects.toMatchObject({ code: "session-released" });
});

test("calls that overlap are refused and the first one ends as if alone; an empty batch is refused at once", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const sessions = [await open(artifacts), await open(artifacts)];
  const [busy, alone] = sessions;
  if (!busy || !alone) throw new Error("there are two sessions");
  const results = await Promise.allSettled([
    busy.runTrainStep(feeds(0, 4)),
    busy.runTrainStep(feeds(1, 4)),
    busy.runOptimizerStep(),
    busy.checkpoint(),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected"]);
  expect(results[2]).toMatchObject({
    reason: { code: "session-busy", details: { call: "runOptimizerStep", running: "runTrainStep" } },
  });
  await expect(busy.runTrainStep(feeds(0, 0))).rejects.toThrow(
    "The input images is empty: its shape is [0, 3, 32, 32].",
  );
  await alone.runTrainStep(feeds(0, 4));
  for (const session of sessions) await session.runOptimizerStep();
  const [a, b] = await Promise.all(sessions.map((session) => session.checkpoint()));
  expect(encodeCheckpoint(a as Checkpoint)).toEqual(encodeCheckpoint(b as Checkpoint));
  for (const session of sessions) await session.release();
});

test("replicas average each parameter where it is updated, and a resumed session goes on with the averages", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const { session } = await openTiny(artifacts);
  const parameters = session.parameterNames();
  await session.release();
  const lookahead = { decay: 0.5, pull: true };
  const whole = await open(artifacts);
  await step(whole, feeds(0, 4));
  await whole.averageWeights(lookahead);
  const first = splitAverages(await whole.checkpoint());
  expect(first.averages.size).toBe(first.checkpoint.trainable.size + first.checkpoint.frozen.size);
  await step(whole, feeds(4, 8));
  const before = await whole.checkpoint();
  const middle = encodeCheckpoint(before);
  await whole.averageWeights(lookahead);
  const { checkpoint: after, averages } = splitAverages(await whole.checkpoint());
  for (const name of parameters) {
    const [slow, fast] = [first.averages.get(name), before.trainable.get(name)];
    const expected = Float32Array.from(
      slow?.data as Float32Array,
      (old, i) => old + 0.5 * (Number(fast?.data[i]) - old),
    );
    expect(averages.get(name)?.data, name).toEqual(expected);
    expect(after.trainable.get(name)?.data, name).toEqual(expected);
  }
  await step(whole, feeds(8, 12));
  const end = encodeCheckpoint(await whole.checkpoint());
  await whole.release();
  const resumed = await open(artifacts, 2, middle);
  await resumed.averageWeights(lookahead);
  await step(resumed, feeds(8, 12));
  expect(encodeCheckpoint(await resumed.checkpoint())).toEqual(end);
  await resumed.release();
});

test("the sessions of replicas write into given arrays, also an output as long as the batch", async () => {
  const artifacts = generateArtifacts(mlp(), { loss: "mse", additionalOutputs: ["y"] });
  const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i));
  const batch = {
    x: new Tensor("float32", numbers(15), [5, 3]),
    target: new Tensor("float32", numbers(10), [5, 2]),
  };
  const session = await ReplicatedSession.create(artifacts, {
    replicas: 2,
    worker: givenArraysReplica(worker),
  });
  const { y } = await step(session, batch);
  expect(y?.dims).toEqual([5, 2]);
  await session.release();
});
