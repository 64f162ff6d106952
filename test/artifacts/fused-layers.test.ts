import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { generateArtifacts, trainingCoverage } from "../../artifacts/index.ts";
import { decodeModel } from "../../graph-builder/index.ts";
import { parseModel } from "../../graph-builder/onnx/parse.ts";
import type { GivenShape } from "../../graph-builder/types.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import { fileOf, info, initializer, int, ints, nodeOf, text } from "../support/file-model.ts";
import { normal } from "../support/random-tensor.ts";

const device = await openDevice("cpu", { threads: 1 });
const domain = "com.microsoft";
const weightShapes = {
  "attention.weight": [6, 18],
  "attention.bias": [18],
  "norm.weight": [6],
  "norm.bias": [6],
  "wide.weight": [6, 8],
  "wide.bias": [8],
  "narrow.weight": [8, 6],
  "narrow.bias": [6],
  "head.weight": [3, 6],
  "head.bias": [3],
} as const;

/** An encoder layer and a classifier, as ONNX Runtime's optimizers write them at opset 14. */
function encoder(): Uint8Array {
  const heads = int("num_heads", 2);
  const linear = [int("transB", 1), text("activation", "Tanh")];
  return fileOf({
    opsets: { "": 14, [domain]: 1 },
    input: [info("x", ["batch", 4, 6]), info("mask", ["batch", 4], "int32")],
    node: [
      nodeOf("Attention", ["x", "attention.weight", "attention.bias", "mask"], ["a"], [heads], domain),
      nodeOf("SkipLayerNormalization", ["a", "x", "norm.weight", "norm.bias"], ["n"], [], domain),
      nodeOf("MatMul", ["n", "wide.weight"], ["m"]),
      nodeOf("FastGelu", ["m", "wide.bias"], ["w"], [], domain),
      nodeOf("MatMul", ["w", "narrow.weight"], ["s"]),
      nodeOf(
        "SkipLayerNormalization",
        ["s", "n", "norm.weight", "norm.bias", "narrow.bias"],
        ["y"],
        [],
        domain,
      ),
      nodeOf("ReduceMean", ["y"], ["p"], [ints("axes", [1]), int("keepdims", 0)]),
      nodeOf("FusedGemm", ["p", "head.weight", "head.bias"], ["scores"], linear, domain),
    ],
    initializer: Object.entries(weightShapes).map(([name, shape]) => initializer(name, normal(shape).tensor)),
    output: [info("scores", ["batch", 3])],
  });
}

const feeds = {
  x: new Tensor(
    "float32",
    Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)),
    [2, 4, 6],
  ),
  mask: new Tensor("int32", Int32Array.of(1, 1, 1, 0, 1, 1, 0, 0), [2, 4]),
};
const labels = new Tensor("int64", BigInt64Array.of(2n, 0n), [2]);
const operatorsOf = (bytes: Uint8Array) =>
  (parseModel(bytes, "the file").graph.node ?? []).map(({ opType }) => opType);

describe("layers that ONNX Runtime's optimizers have fused", () => {
  test("have all of their weights and biases as parameters", () => {
    const { parameters, obstacles } = trainingCoverage(encoder());
    expect(obstacles).toEqual([]);
    expect(parameters.map(({ name }) => name).sort()).toEqual(Object.keys(weightShapes).sort());
    expect(parameters.every(({ trainableFrom }) => trainableFrom.join() === "scores")).toBe(true);
  });

  test("are trained, in operators that ONNX Runtime 1.19.2 knows, and given back as they were", async () => {
    const source = encoder();
    const artifacts = generateArtifacts(source, { loss: "cross-entropy", learningRate: 0.01 });
    expect(decodeModel(artifacts.trainingModel).opset).toBeLessThan(22);
    const session = await TrainingSession.create(artifacts, device);
    const losses: number[] = [];
    for (let step = 0; step < 15; step++) {
      session.lazyResetGrad();
      const { loss } = await session.runTrainStep({ ...feeds, labels });
      losses.push(Number(loss?.data[0]));
      await session.runOptimizerStep();
    }
    expect(losses.at(-1)).toBeLessThan(0.8 * Number(losses[0]));
    const { scores: ours } = await session.runEvalStep({ ...feeds, labels });
    const exported = await session.exportModel();
    await session.release();
    expect(operatorsOf(exported)).toEqual(operatorsOf(source));
    const inference = await InferenceSession.create(exported);
    const { scores: theirs } = await inference.run(feeds);
    await inference.release();
    expect(theirs?.data.length).toBeGreaterThan(0);
    for (const [i, score] of [...(theirs?.data ?? [])].entries())
      expect(Number(ours?.data[i])).toBeCloseTo(Number(score), 5);
  });
});

/** A file with one of these nodes, whose inputs are named by their shapes. */
function single(
  opType: string,
  inputs: Readonly<Record<string, GivenShape>>,
  attributes: Readonly<Record<string, number | string>>,
  outputs: readonly string[] = ["y"],
) {
  const own = Object.entries(attributes).map(([name, value]) =>
    typeof value === "string" ? text(name, value) : int(name, value),
  );
  return fileOf({
    opsets: { "": 17, [domain]: 1 },
    input: Object.entries(inputs).map(([name, shape]) =>
      info(name, shape, name === "mask" ? "int32" : "float"),
    ),
    node: [nodeOf(opType, Object.keys(inputs), outputs, own, domain)],
    output: [info("y", [])],
  });
}

const attention = { x: ["batch", 4, 6], w: [6, 18], b: [18] } as const;
const refusals = [
  [
    "a mask of four axes",
    single("Attention", { ...attention, mask: ["batch", 1, 4, 4] }, { num_heads: 2 }),
    "Attention at y_node: a mask of 4 axes is not supported",
  ],
  [
    "a mask of which only a run tells whether it has the starts too",
    single("Attention", { ...attention, mask: ["limits"] }, { num_heads: 2 }),
    "Attention at y_node: a mask [limits] for batch texts is not supported",
  ],
  [
    "rotary embeddings inside",
    single("Attention", attention, { num_heads: 2, do_rotary: 1 }),
    "Attention at y_node: do_rotary 1 is not supported",
  ],
  [
    "an activation that is not known",
    single("FusedGemm", { a: ["batch", 3], b: [3, 2] }, { activation: "ScaledTanh" }),
    "FusedGemm at y_node: activation ScaledTanh is not supported",
  ],
  [
    "an output that no operator makes",
    single("SkipSimplifiedLayerNormalization", { x: [2, 3], skip: [2, 3], gamma: [3] }, {}, ["y", "mean"]),
    "SkipSimplifiedLayerNormalization at y_node: its output mean is not supported",
  ],
] as const;

test.each(refusals)("%s is refused in a sentence with the node", (_, file, sentence) => {
  expect(() => decodeModel(file)).toThrow(sentence);
});
