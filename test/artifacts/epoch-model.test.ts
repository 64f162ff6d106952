import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { decodeCheckpoint, generateArtifacts } from "../../artifacts/index.ts";
import { RandomStream, UserError } from "../../graph-builder/index.ts";
import { toOrtTensor } from "../../runtime/device/tensors.ts";
import { mlp, smallCnn } from "../support/artifact-models.ts";

type Tensors = Record<string, ort.Tensor>;

const options = { loss: "mse", optimizer: "adamw", target: "standard", chunk: true } as const;
const artifacts = generateArtifacts(mlp(), options);
const [single, chunk, initial] = await Promise.all([
  open(artifacts.trainingModel),
  open(artifacts.epochModel),
  open(artifacts.initialState),
]);

function open(bytes: Uint8Array | undefined): Promise<ort.InferenceSession> {
  if (!bytes) throw new Error("a file is missing");
  return ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

/** The feeds of steps `first` to `first + count`, along a leading axis. */
function feedsOf(first: number, count: number): Tensors {
  const random = new RandomStream(3, "epoch");
  const numbers = (size: number, at: number) =>
    Float32Array.from({ length: count * size }, (_, i) => random.uniform(at + first * size + i));
  return {
    x: new ort.Tensor("float32", numbers(6, 0), [count, 2, 3]),
    target: new ort.Tensor("float32", numbers(4, 1e6), [count, 2, 2]),
    learning_rate: new ort.Tensor("float32", new Float32Array(count).fill(0.01), [count, 1]),
    step: new ort.Tensor(
      "int64",
      BigInt64Array.from({ length: count }, (_, i) => BigInt(first + i + 1)),
      [count, 1],
    ),
  };
}

async function run(session: ort.InferenceSession, state: Tensors, feeds: Tensors) {
  const all: Tensors = { ...state, ...feeds };
  const given = session.inputNames.flatMap((name) => (all[name] ? [[name, all[name]] as const] : []));
  const results = await session.run(Object.fromEntries(given));
  const next = Object.entries(state).map(([name, old]) => [name, results[`${name}_next`] ?? old] as const);
  return { state: Object.fromEntries(next), loss: Array.from((results["loss"]?.data ?? []) as Float32Array) };
}

test("the initial state has the tensors of the checkpoint", async () => {
  const { trainable, frozen } = decodeCheckpoint(artifacts.checkpoint, "checkpoint");
  const expected = [...trainable, ...frozen].map(
    ([name, tensor]) => [name, toOrtTensor(tensor, ort)] as const,
  );
  const actual = await initial.run({});
  expect(new Set(initial.outputNames)).toEqual(new Set(expected.map(([name]) => name)));
  for (const [name, tensor] of expected) expect(actual[name]?.data, name).toEqual(tensor.data);
});

test("three steps of a regression in one call are bit for bit three single steps", async () => {
  const first = await initial.run({});
  let expected = { state: first as Tensors, loss: [] as number[] };
  for (let step = 0; step < 3; step++) {
    const feeds = Object.entries(feedsOf(step, 1)).map(
      ([name, tensor]) => [name, tensor.reshape(tensor.dims.slice(1))] as const,
    );
    const reset = new ort.Tensor("bool", [true], [1]);
    const taken = await run(single, expected.state, { ...Object.fromEntries(feeds), lazy_reset_grad: reset });
    expected = { state: taken.state, loss: [...expected.loss, ...taken.loss] };
  }
  const actual = await run(chunk, first, feedsOf(0, 3));
  expect(new Set(expected.loss).size).toBe(3);
  expect(actual.loss).toEqual(expected.loss);
  for (const [name, { data }] of Object.entries(expected.state)) {
    expect(actual.state[name]?.data, name).toEqual(data);
    if (name.startsWith("out")) expect(data, name).not.toEqual(first[name]?.data);
  }
});

test("a chunk needs no input of ONNX Runtime's training API", () => {
  expect(chunk.inputNames).not.toContain("lazy_reset_grad");
  expect(new Set(chunk.inputNames)).toEqual(
    new Set(single.inputNames.filter((name) => name !== "lazy_reset_grad")),
  );
});

test("a classifier's chunk returns the losses and the number of right labels of each step", async () => {
  const { epochModel } = generateArtifacts(smallCnn(), {
    loss: "cross-entropy",
    countCorrect: true,
    target: "standard",
    chunk: true,
  });
  const { outputMetadata } = await open(epochModel);
  const shapes = outputMetadata.map((output) => [output.name, output.isTensor ? output.shape : undefined]);
  expect(shapes).toContainEqual(["loss", ["steps"]]);
  expect(shapes).toContainEqual(["correct", ["steps"]]);
});

test("a chunk that cannot be is refused in one sentence", () => {
  expect(() => generateArtifacts(mlp(), { ...options, target: "ort-training" })).toThrow(
    new UserError("A chunk of steps needs the target standard: it is written in ai.onnx alone.", {
      code: "setting-conflict",
    }),
  );
  expect(() => generateArtifacts(mlp(), { ...options, fused: false })).toThrow(
    new UserError("A chunk of steps needs a fused training model: leave fused out.", {
      code: "setting-conflict",
    }),
  );
});
