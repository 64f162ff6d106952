import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../../artifacts/index.ts";
import {
  type BoundGraph,
  bindingsOf,
  chunkNames,
  createBuilder,
  createModel,
  decodeModel,
  encodeChunk,
  encodeModel,
  Graph,
  type Model,
  RandomStream,
  UserError,
} from "../../../graph-builder/index.ts";
import { toOrtTensor } from "../../../runtime/device/tensors.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { tinySettings } from "../../support/tiny-run.ts";

const STEPS = 8;
const BATCH = 3;
const artifacts = buildTrainingArtifacts(tinySettings({ target: "standard", fused: true }));
const model = decodeModel(artifacts.trainingModel);
const names = chunkNames(boundOf(model, artifacts.checkpoint));
const single = await open(encodeModel(model));
const chunk = await open(encodeChunk(model, names));

type Tensors = Record<string, ort.Tensor>;

function boundOf(given: Model, checkpoint: Uint8Array): BoundGraph {
  const { trainable, frozen } = decodeCheckpoint(checkpoint, "checkpoint");
  const tensors = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
  return { graph: given.graph, bindings: bindingsOf(given, "training", tensors, "the model") };
}

function open(bytes: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

function firstState(): Tensors {
  const { trainable, frozen } = decodeCheckpoint(artifacts.checkpoint, "checkpoint");
  const all = [...trainable, ...frozen].map(([name, tensor]) => [name, toOrtTensor(tensor, ort)] as const);
  return Object.fromEntries(all);
}

/** The feeds of steps `first` to `first + count`, along a leading axis. */
function feedsOf(first: number, count: number): Tensors {
  const random = new RandomStream(2, "chunk");
  const numbers = (size: number, at: number) =>
    Float32Array.from({ length: count * size }, (_, i) => random.uniform(at + first * size + i));
  return {
    images: new ort.Tensor(
      "uint8",
      Uint8Array.from(numbers(BATCH * 3072, 0), (value) => value * 256),
      [count, BATCH, 3, 32, 32],
    ),
    labels: new ort.Tensor(
      "int64",
      BigInt64Array.from(numbers(BATCH, 1e7), (value) => BigInt(Math.floor(value * 10))),
      [count, BATCH],
    ),
    alpha: new ort.Tensor("float32", numbers(3 * BATCH, 2e7), [count, 3, BATCH]),
    beta: new ort.Tensor("float32", numbers(3 * BATCH, 3e7), [count, 3, BATCH]),
    learning_rate: new ort.Tensor(
      "float32",
      Float32Array.from({ length: count }, (_, i) => 0.05 - 0.005 * (first + i)),
      [count, 1],
    ),
    lazy_reset_grad: new ort.Tensor("bool", [true], [1]),
  };
}

async function step(
  session: ort.InferenceSession,
  state: Tensors,
  feeds: Tensors,
): Promise<{ state: Tensors; losses: number[] }> {
  const all = { ...state, ...feeds };
  const wanted = session.inputNames.map((name) => [name, all[name]] as const);
  const results = await session.run(
    Object.fromEntries(wanted.flatMap(([name, value]) => (value ? [[name, value]] : []))),
  );
  const next = Object.entries(state).map(
    ([name, old]) => [name, results[names.states.get(name) ?? ""] ?? old] as const,
  );
  return {
    state: Object.fromEntries(next),
    losses: Array.from((results["loss"]?.data ?? []) as Float32Array),
  };
}

/** Eight steps in calls of the given sizes; sizes of 0 are single steps of the model itself. */
async function trained(sizes: readonly number[]): Promise<{ state: Tensors; losses: number[] }> {
  let state = firstState();
  const losses: number[] = [];
  let first = 0;
  for (const size of sizes) {
    const count = Math.max(1, size);
    const feeds = Object.entries(feedsOf(first, count)).map(([name, tensor]) => {
      const isWhole = size > 0 || name === "lazy_reset_grad";
      return [name, isWhole ? tensor : tensor.reshape(tensor.dims.slice(1))] as const;
    });
    const taken = await step(size > 0 ? chunk : single, state, Object.fromEntries(feeds));
    state = taken.state;
    losses.push(...taken.losses);
    first += count;
  }
  return { state, losses };
}

test.each([
  { title: "one step a call", sizes: Array<number>(STEPS).fill(1) },
  { title: "three steps a call, and five after that", sizes: [3, 5] },
  { title: "eight steps a call", sizes: [8] },
])("$title: losses and states are bit for bit those of single steps", async ({ sizes }) => {
  const [expected, actual] = [await trained(Array<number>(STEPS).fill(0)), await trained(sizes)];
  expect(new Set(expected.losses).size).toBe(STEPS);
  expect(actual.losses).toEqual(expected.losses);
  for (const [name, tensor] of Object.entries(expected.state)) {
    expect(actual.state[name]?.data, name).toEqual(tensor.data);
  }
});

test("the file keeps the names of the states and adds an axis to what is new in each step", () => {
  const { inputNames, outputNames } = chunk;
  expect(inputNames.toSorted()).toEqual(single.inputNames.toSorted());
  expect(outputNames.toSorted()).toEqual(single.outputNames.toSorted());
  const shapeOf = (name: string) => {
    const found = chunk.inputMetadata.find((input) => input.name === name);
    return found?.isTensor ? found.shape : undefined;
  };
  expect(shapeOf("images")).toEqual(["steps", "batch", 3, 32, 32]);
  expect(shapeOf("learning_rate")).toEqual(["steps", 1]);
  expect(shapeOf("fc.bias")).toEqual([10]);
});

test("a model that returns gradients is refused in one sentence", () => {
  const { trainingModel, checkpoint } = buildTrainingArtifacts(tinySettings({ target: "standard" }));
  const unfused = boundOf(decodeModel(trainingModel), checkpoint);
  expect(() => chunkNames(unfused)).toThrow(/returns gradients, so several of its steps cannot be one call/);
});

test("a state whose next value has another type is refused in one sentence", () => {
  const g = createBuilder(new Graph("odd"));
  g.output(g.Reshape(g.input("w", "float", [4]), g.int64([2, 2])), "w_next");
  const odd = createModel(g.graph);
  expect(() => encodeChunk(odd, { states: new Map([["w", "w_next"]]), scanned: [] })).toThrow(
    new UserError("w_next has another type than w, so it cannot take its place.", {
      code: "model-unsupported",
      details: { name: "w_next" },
    }),
  );
});
