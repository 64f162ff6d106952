import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  decodeCheckpoint,
  generateArtifacts,
  restoreModel,
  trainingCoverage,
} from "../../artifacts/index.ts";
import { at, decodeModel, encodeModel, RandomStream } from "../../graph-builder/index.ts";
import { float16Bits, float16Value } from "../../graph-builder/tensor.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import { TrainingSession } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { halfMlp, mlp } from "../support/artifact-models.ts";

const names = ["hidden.weight", "hidden.bias", "out.weight"];

test("a float16 model is trained with float weights, and comes back in float16", async () => {
  const file = encodeModel(halfMlp("float16"));
  const artifacts = generateArtifacts(file, { loss: "mse", optimizer: "adamw", learningRate: 0.02 });
  expect(artifacts.manifest.trainable).toEqual(names);
  expect(artifacts.manifest.warnings).toEqual([]);
  const { trainable } = decodeCheckpoint(artifacts.checkpoint);
  expect([...trainable.values()].map(({ elemType }) => elemType)).toEqual(["float", "float", "float"]);

  const session = await TrainingSession.create(artifacts, await openDevice("cpu", { threads: 1 }));
  const random = new RandomStream(5, "rows");
  const rows = 16;
  const x = Array.from({ length: 3 * rows }, (_, i) => random.normal(i));
  const target = Array.from({ length: 2 * rows }, (_, i) => Math.sin(at(x, 3 * (i >> 1) + (i % 2))));
  const halves = Uint16Array.from(x, float16Bits);
  const feeds = {
    x: new Tensor("float16", halves, [rows, 3]),
    target: new Tensor("float32", Float32Array.from(target), [rows, 2]),
  };
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) {
    session.lazyResetGrad();
    losses.push(Number((await session.runTrainStep(feeds))["loss"]?.data[0]));
    await session.runOptimizerStep();
  }
  expect(losses.at(-1)).toBeLessThan(0.2 * at(losses, 0));

  const exported = await session.exportModel();
  const { graph } = decodeModel(exported);
  const types = (of: typeof graph) => of.initializers.map(({ name, elemType }) => [name, elemType]);
  expect(types(graph)).toEqual(types(decodeModel(file).graph));
  for (const name of names) {
    const found = graph.initializers.find((value) => value.name === name)?.constant?.numbers() ?? [];
    const trained = Array.from((await session.getParameter(name)).data, Number);
    expect(found).toEqual(trained.map((value) => float16Value(float16Bits(value))));
  }
  const model = await InferenceSession.create(exported);
  const { y } = await model.run({ x: feeds.x });
  const { y: evaluated } = await session.runEvalStep(feeds);
  const [own, others] = [y, evaluated].map((tensor) => (tensor ? fromOrtTensor(tensor).numbers() : []));
  expect(own).toHaveLength(2 * rows);
  for (const [i, value] of (own ?? []).entries()) expect(value).toBeCloseTo(others?.[i] ?? Number.NaN, 2);
  await model.release();
  await session.release();
});

test("a bfloat16 model is given back with its own weights where nothing was trained", () => {
  const file = encodeModel(halfMlp("bfloat16"));
  const { checkpoint, sourceModel = new Uint8Array(), manifest } = generateArtifacts(file, { loss: "mse" });
  expect(manifest.trainable).toEqual(names);
  expect(restoreModel(sourceModel, decodeCheckpoint(checkpoint))).toEqual(file);
  expect(() => restoreModel(sourceModel, { trainable: new Map(), frozen: new Map() })).toThrow(
    "The checkpoint has no tensor hidden.weight, which source.onnx needs.",
  );
});

test("the coverage report has the weights of 16 bits, and a model without such has no casts", () => {
  expect(trainingCoverage(halfMlp("float16")).parameters.map(({ name }) => name)).toEqual(names);
  const { evalModel } = generateArtifacts(mlp(), { loss: "mse" });
  expect(decodeModel(evalModel).graph.nodes.map(({ opType }) => opType)).not.toContain("Cast");
});
