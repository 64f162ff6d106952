import { describe, expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  createModel,
  encodeModel,
  type GivenShape,
  Graph,
  nameValues,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
import { Classifier, calibrate } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { inferenceGraph, inferenceModel, openClassifier, trainedGraph } from "../../../shakenet/index.ts";
import { randomCheckpoint, randomPixels, relativeError } from "../../support/frozen.ts";
import { tinySettings } from "../../support/tiny-run.ts";

const settings = tinySettings();
const checkpoint = randomCheckpoint(settings);
const images = randomPixels(5);
const device = await openDevice("cpu", { threads: 1 });

async function logitsOf(bytes: Uint8Array): Promise<Float32Array> {
  const classifier = await openClassifier(bytes, device, "model.onnx");
  const { data, dims } = await classifier.logits(images);
  expect(dims).toEqual([5, 10]);
  await classifier.release();
  return data as Float32Array;
}

describe("a classifier", () => {
  test.each([
    { input: "uint8-nhwc" },
    { batch: 2 },
    { batch: 5 },
    { batch: 8, input: "uint8-nhwc" },
    { alphaInput: true },
  ] as const)("of the form %o gives the same logits", async (form) => {
    const expected = await logitsOf(encodeModel(createModel(trainedGraph(settings, checkpoint))));
    expect(
      relativeError(await logitsOf(inferenceModel(settings, checkpoint, {}, form)), expected),
    ).toBeLessThan(1e-5);
  });

  test("refuses no pictures and a part of one, lets calls wait for each other, and ends once", async () => {
    const classifier = await openClassifier(inferenceModel(settings, checkpoint), device, "model.onnx");
    for (const length of [0, 100, 3073]) {
      const sentence = `model.onnx takes pictures of 3 x 32 x 32 values, and was given ${length} values.`;
      const refusal = { message: sentence, code: "input-shape" };
      await expect(classifier.logits(new Uint8Array(length))).rejects.toMatchObject(refusal);
      await expect(classifier.run(new Uint8Array(length))).rejects.toMatchObject(refusal);
    }
    const expected = await classifier.logits(images);
    const together = [classifier.logits(images), classifier.logits(images), classifier.logits(images)];
    const released = Promise.all(together).then(() => classifier.release());
    for (const { data } of await Promise.all(together)) expect(data).toEqual(expected.data);
    await released;
    await expect(classifier.release()).rejects.toMatchObject({ code: "session-released" });
    await expect(classifier.logits(images)).rejects.toThrow(
      "The session was released: logits cannot be called any more.",
    );
  });

  test("finishes the calls under way when it is released", async () => {
    const classifier = await openClassifier(inferenceModel(settings, checkpoint), device, "model.onnx");
    const running = [classifier.logits(images), classifier.logits(images)];
    await classifier.release();
    for (const { dims } of await Promise.all(running)) expect(dims).toEqual([5, 10]);
  });

  test("of another program that ends in a softmax gives logits up to a constant", async () => {
    const g = createBuilder(new Graph("pictures"));
    const flat = g.Flatten(g.GlobalAveragePool(g.input("x", "float", ["batch", 3, 32, 32])));
    g.output(g.Softmax(flat, { axis: 1 }), "y");
    const classifier = await openClassifier(encodeModel(createModel(g.graph)), device, "model.onnx");
    const { data } = await classifier.logits(Uint8Array.from(images, (value) => value / 64));
    expect(classifier.isProbabilities).toBe(true);
    await classifier.release();
    const mean = (plane: number) =>
      images.subarray(plane * 1024, (plane + 1) * 1024).reduce((sum, value) => sum + (value >> 6), 0) / 1024;
    const found = Array.from({ length: 15 }, (_, i) => Number(data[i]) - Number(data[i - (i % 3)]));
    const expected = Array.from({ length: 15 }, (_, i) => mean(i) - mean(i - (i % 3)));
    expect(relativeError(found, expected)).toBeLessThan(1e-4);
  });

  test("of probabilities gives logits up to a constant for each image", async () => {
    const expected = await logitsOf(inferenceModel(settings, checkpoint));
    const found = await logitsOf(inferenceModel(settings, checkpoint, {}, { output: "probabilities" }));
    const differences = Array.from(found, (value, i) => value - (expected[i] ?? 0));
    for (let row = 0; row < 5; row++) {
      const own = differences.slice(row * 10, row * 10 + 10);
      expect(Math.max(...own) - Math.min(...own)).toBeLessThan(1e-4);
    }
  });

  const unfit: readonly (readonly [string, (g: Builder) => Value, RegExp])[] = [
    [
      "two inputs",
      (g) => g.Add(image(g, "a"), image(g, "b")),
      /^m\.onnx must have one input of images, not a, b\.$/,
    ],
    [
      "an input that nothing fills",
      (g) => g.Add(image(g, "images"), g.input("alpha", "float", [1])),
      /^m\.onnx must have one input of images, not images, alpha\.$/,
    ],
    [
      "a vector",
      (g) => g.Relu(g.input("x", "float", ["batch", 7])),
      /^m\.onnx takes x float32 \[batch, 7\], and images are/,
    ],
    [
      "whole numbers",
      (g) => g.Identity(g.input("x", "int64", ["batch", 3, 8, 8])),
      /^m\.onnx takes x int64 /,
    ],
  ];

  test.each(unfit)("is not a model with %s", async (_, build, sentence) => {
    const g = createBuilder(new Graph("unfit"));
    g.output(build(g), "logits");
    const opened = Classifier.open(encodeModel(createModel(g.graph)), device, "m.onnx");
    await expect(opened).rejects.toThrow(UserError);
    await expect(opened).rejects.toThrow(sentence);
  });

  test("is not a model that returns images", async () => {
    const g = createBuilder(new Graph("unfit"));
    g.output(g.Relu(image(g, "x")), "logits");
    const classifier = await Classifier.open(encodeModel(createModel(g.graph)), device, "m.onnx");
    await expect(classifier.logits(new Uint8Array(192))).rejects.toThrow(
      /^The output logits is float32 \[1, 3, 8, 8\], not float32 \[batch, classes\]\.$/,
    );
  });

  test("is not a text", async () => {
    const opened = Classifier.open(Uint8Array.of(1, 2, 3), device, "m.onnx");
    await expect(opened).rejects.toThrow(/^m\.onnx cannot be opened by ONNX Runtime on cpu: /);
  });
});

function image(g: Builder, name: string, shape: GivenShape = ["batch", 3, 8, 8]): Value {
  return g.input(name, "float", shape);
}

describe("calibration", () => {
  test("finds the range of every value that a node makes, over all images", async () => {
    const many = randomPixels(40);
    const graph = inferenceGraph(settings, checkpoint);
    const ranges = await calibrate(graph, { images: many, count: 40 }, device);
    const made = [...nameValues(graph)].filter(([value]) => value.producer).map(([, name]) => name);
    expect([...ranges.keys()].sort()).toEqual(made.sort());
    // the first node subtracts the mean of red, green and blue
    expect(ranges.get("normalize.Sub_0")).toEqual({
      min: -Math.fround(Math.max(...settings.mean)),
      max: 255 - Math.fround(Math.min(...settings.mean)),
    });
    expect(ranges.get("head.Relu_0")?.min).toBe(0);
    const classifier = await Classifier.open(encodeModel(createModel(graph)), device, "m.onnx");
    const { data } = await classifier.logits(many);
    expect(ranges.get("logits")?.max).toBeCloseTo(Math.max(...(data as Float32Array)), 4);
    await classifier.release();
  });
});
