import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { generateArtifacts, parametersOf, trainingCoverage } from "../../artifacts/index.ts";
import { decodeModel, floats, int64s } from "../../graph-builder/index.ts";
import type { Message } from "../../graph-builder/onnx/schema.ts";
import { encodeTensor } from "../../graph-builder/onnx/tensors.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import * as file from "../support/file-model.ts";

const device = await openDevice("cpu", { threads: 1 });
type IAttribute = Message<"AttributeProto">;

const names = ["first", "second"] as const;
const bias = floats([0.5, 0, -1]);
const sparse = (name: string): Message<"SparseTensorProto"> => ({
  values: encodeTensor(floats([0.5, -1]), name),
  indices: encodeTensor(int64s([0, 2]), ""),
  dims: [3],
});
const constants = (attribute: IAttribute): file.FileParts => ({
  node: names.map((name) => file.nodeOf("Constant", [], [name], [attribute])),
});

/** The ways in which a file holds two equal vectors. */
const forms: Readonly<Record<string, file.FileParts>> = {
  initializers: { initializer: names.map((name) => file.initializer(name, bias)) },
  "Constant nodes with tensors": constants({ name: "value", type: 4, t: encodeTensor(bias, "") }),
  "Constant nodes with lists": constants(file.floats("value_floats", [0.5, 0, -1])),
  "sparse initializers": { sparseInitializer: names.map(sparse) },
  "Constant nodes with sparse tensors": constants({
    name: "sparse_value",
    type: 11,
    sparseTensor: sparse(""),
  }),
};

/** y = (x w + first) + 2 (x w + second), where w is one tensor and the others are equal. */
function twoLayers({ node = [], initializer = [], ...parts }: file.FileParts): Uint8Array {
  return file.fileOf({
    ...parts,
    input: [file.info("x", ["n", 2])],
    output: [file.info("y", ["n", 3])],
    initializer: [
      file.initializer("w", floats([1, -2, 3, 0.5, 4, -0.25], [2, 3])),
      file.initializer("two", floats(2)),
      ...initializer,
    ],
    node: [
      ...node,
      file.nodeOf("Gemm", ["x", "w", "first"], ["a"]),
      file.nodeOf("Gemm", ["x", "w", "second"], ["b"]),
      file.nodeOf("Mul", ["b", "two"], ["doubled"]),
      file.nodeOf("Add", ["a", "doubled"], ["y"]),
    ],
  });
}

const x = [1, 2, -1, 0.5];
const target = [1, 0, -1, 2, 0.5, 0];
const feeds = {
  x: new OrtTensor("float32", Float32Array.from(x), [2, 2]),
  target: new OrtTensor("float32", Float32Array.from(target), [2, 3]),
};

/** The gradients of the mean squared error, by hand. */
function expectedGradients(y: readonly number[]) {
  const G = y.map((value, i) => (2 * (value - (target[i] ?? 0))) / y.length);
  const column = (j: number, factors: readonly number[]) =>
    factors.reduce((sum, factor, i) => sum + factor * (G[3 * i + j] ?? 0), 0);
  const each = [0, 1, 2];
  return {
    first: each.map((j) => column(j, [1, 1])),
    second: each.map((j) => 2 * column(j, [1, 1])),
    w: [0, 1].flatMap((k) => each.map((j) => 3 * column(j, [x[k] ?? 0, x[2 + k] ?? 0]))),
  };
}

describe.each(Object.entries(forms))("two equal %s that two layers read", (_, parts) => {
  test("are trained apart, and the weight that both layers read by the sum of their gradients", async () => {
    const bytes = twoLayers(parts);
    expect(parametersOf(decodeModel(bytes).graph).map(({ name }) => name)).toEqual(["w", "first", "second"]);
    const artifacts = generateArtifacts(bytes, { loss: "mse", optimizer: "sgd", learningRate: 1 });
    const session = await TrainingSession.create(artifacts, device);
    const { y } = await session.runEvalStep(feeds);
    const expected = expectedGradients(Array.from(y?.data ?? [], Number));
    const read = async (name: string) => Array.from((await session.getParameter(name)).data, Number);
    const before = await Promise.all(Object.keys(expected).map(read));
    await session.runTrainStep(feeds);
    await session.runOptimizerStep();
    for (const [i, [name, gradient]] of Object.entries(expected).entries()) {
      const moved = (await read(name)).map((value, j) => (before[i]?.[j] ?? 0) - value);
      for (const [j, value] of gradient.entries()) expect(moved[j], name).toBeCloseTo(value, 4);
    }
    const exported = await session.exportModel();
    const { graph } = decodeModel(exported);
    for (const name of Object.keys(expected)) {
      const found = graph.initializers.find((value) => value.name === name);
      expect(Array.from(found?.constant?.numbers() ?? []), name).toEqual(await read(name));
    }
    const inference = await InferenceSession.create(exported);
    const results = await inference.run({ x: feeds.x });
    const evaluated = Array.from((await session.runEvalStep(feeds))["y"]?.data ?? [], Number);
    expect(evaluated).toHaveLength(6);
    for (const [i, value] of evaluated.entries()) expect(results["y"]?.data[i]).toBeCloseTo(value, 4);
    await session.release();
  });

  test("stay as they are where they are not trained", async () => {
    const bytes = twoLayers(parts);
    const artifacts = generateArtifacts(bytes, { loss: "mse", trainable: ["w", "second"] });
    const session = await TrainingSession.create(artifacts, device);
    await session.runTrainStep(feeds);
    await session.runOptimizerStep();
    const { graph } = decodeModel(await session.exportModel());
    const numbersOf = (name: string) =>
      Array.from(graph.initializers.find((value) => value.name === name)?.constant?.numbers() ?? []);
    expect(numbersOf("first")).toEqual([0.5, 0, -1]);
    expect(numbersOf("second")).not.toEqual([0.5, 0, -1]);
    await session.release();
  });
});

test("a number of a Constant that is a layer's bias is trained, and exported", async () => {
  const bytes = file.fileOf({
    input: [file.info("x", ["n", 2])],
    output: [file.info("y", ["n", 1])],
    initializer: [file.initializer("w", floats([1, -2], [2, 1]))],
    node: [
      file.nodeOf("Constant", [], ["b"], [file.float("value_float", 0.5)]),
      file.nodeOf("Gemm", ["x", "w", "b"], ["y"]),
    ],
  });
  const artifacts = generateArtifacts(bytes, { loss: "mse", optimizer: "sgd", learningRate: 0.25 });
  const session = await TrainingSession.create(artifacts, device);
  const ones = new OrtTensor("float32", Float32Array.of(1, 1), [2, 1]);
  await session.runTrainStep({ x: feeds.x, target: ones });
  await session.runOptimizerStep();
  const { graph } = decodeModel(await session.exportModel());
  const found = graph.initializers.find(({ name }) => name === "b")?.constant;
  // y = [-2.5, -1.5], so the gradient is 2 * mean(y - 1) = -6
  expect(found?.numbers()).toEqual([2]);
  await session.release();
});

test("a bias of zeros with a name that an exporter made up says so, and that it is one for all its layers", () => {
  const zeros = floats([0, 0, 0]);
  const bytes = file.fileOf({
    input: [file.info("x", ["n", 3])],
    output: [file.info("y", ["n", 3])],
    initializer: [
      ...["w", "v"].map((name) => file.initializer(name, floats([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]))),
      ...["val_3", "val_4"].map((name) => file.initializer(name, zeros)),
    ],
    node: [
      file.nodeOf("Gemm", ["x", "w", "val_3"], ["a"]),
      file.nodeOf("Gemm", ["a", "v", "val_3"], ["b"]),
      file.nodeOf("Gemm", ["b", "w", "val_4"], ["y"]),
    ],
  });
  const madeUp = "equal numbers with a name that an exporter made up, read as a bias or scale";
  expect(trainingCoverage(bytes).constants.map(({ name, reason }) => [name, reason])).toEqual([
    ["val_3", `${madeUp}; each can be trained by its full name, for all nodes that read it at once`],
    ["val_4", `${madeUp}; each can be trained by its full name`],
  ]);
});
