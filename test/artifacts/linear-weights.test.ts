import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { generateArtifacts, trainingCoverage } from "../../artifacts/index.ts";
import { encodeAttribute } from "../../graph-builder/onnx/attributes.ts";
import { parseModel } from "../../graph-builder/onnx/parse.ts";
import type { Message } from "../../graph-builder/onnx/schema.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import { fileOf, floats, info, ints, nodeOf, text } from "../support/file-model.ts";

const device = await openDevice("cpu", { threads: 1 });
const coefficients = [0.5, -1, 0.25, 1, 0.75, -0.5, -2, 0.125, 0.375];
const numbers = ints("classlabels_ints", [7, 8, 9]);

/** A LogisticRegression of three classes as skl2onnx writes it. */
function logisticRegression(labels: Message<"AttributeProto"> = numbers): Uint8Array {
  const isText = labels.name === "classlabels_strings";
  const weights = [floats("coefficients", coefficients), floats("intercepts", [0, 0.5, -0.25])];
  const own = [...weights, labels, text("post_transform", "SOFTMAX")];
  return fileOf({
    opsets: { "": 17, "ai.onnx.ml": 1 },
    input: [info("X", ["N", 3])],
    node: [
      nodeOf("LinearClassifier", ["X"], ["label", "raw"], own, "ai.onnx.ml"),
      nodeOf("Normalizer", ["raw"], ["probabilities"], [text("norm", "L1")], "ai.onnx.ml"),
    ],
    output: [info("label", ["N"], isText ? "string" : "int64"), info("probabilities", ["N", 3])],
  });
}

const X = new Tensor("float32", Float32Array.of(1, -2, 0.5, 0, 1, 2, -1, 0.5, 1), [3, 3]);
const labels = new Tensor("int64", BigInt64Array.of(2n, 1n, 0n));

const nodesOf = (bytes: Uint8Array) => parseModel(bytes, "the file").graph.node ?? [];
const numbersIn = (bytes: Uint8Array, name: string) =>
  nodesOf(bytes)
    .flatMap(({ attribute = [] }) => attribute)
    .find((each) => each.name === name)
    ?.floats?.map(Number) ?? [];

/** A session after a few steps, from the scores. */
async function trainedFrom(file: Uint8Array) {
  const loss = { loss: "cross-entropy", lossInput: "raw.scores", learningRate: 0.1 } as const;
  const session = await TrainingSession.create(generateArtifacts(file, loss), device);
  const losses: number[] = [];
  for (let step = 0; step < 20; step++) {
    session.lazyResetGrad();
    const results = await session.runTrainStep({ X, labels });
    losses.push(Number(results["loss"]?.data[0]));
    await session.runOptimizerStep();
  }
  return { session, losses };
}

describe("a linear model of scikit-learn, whose weights are attributes", () => {
  test("has its coefficients and intercepts as parameters", () => {
    const { parameters, obstacles } = trainingCoverage(logisticRegression());
    expect(obstacles).toEqual([]);
    expect(parameters.map(({ name, shape, trainableFrom }) => [name, shape, trainableFrom])).toEqual([
      ["raw.coefficients", [3, 3], ["probabilities"]],
      ["raw.intercepts", [3], ["probabilities"]],
    ]);
  });

  test("is trained, and given back as the operator that it was", async () => {
    const file = logisticRegression();
    const { session, losses } = await trainedFrom(file);
    expect(losses.at(-1)).toBeLessThan(0.3 * (losses[0] ?? 0));
    const exported = await session.exportModel();
    const [before, after] = [file, exported].map((bytes) =>
      nodesOf(bytes).map(({ opType, domain, input, output, attribute }) => ({
        ...{ opType, domain, input, output },
        attributes: attribute?.map(({ name, ints: labels, s, floats: each }) => [
          name,
          labels?.map(Number),
          s,
          each?.length,
        ]),
      })),
    );
    expect(after).toEqual(before);
    const trained = Array.from((await session.getParameter("raw.coefficients")).data, Number);
    expect(numbersIn(exported, "coefficients")).toEqual(trained);
    expect(trained).not.toEqual(coefficients);
    const inference = await InferenceSession.create(exported);
    const results = await inference.run({ X });
    expect(Array.from(results["label"]?.data ?? [], Number)).toEqual([9, 8, 7]);
    const evaluated = await session.runEvalStep({ X, labels });
    const scores = Array.from(evaluated["raw.scores"]?.data ?? [], Number);
    expect(scores).toHaveLength(9);
    const probabilities = Array.from(results["probabilities"]?.data ?? [], Number);
    for (let row = 0; row < 3; row++) {
      const powers = scores.slice(3 * row, 3 * row + 3).map(Math.exp);
      const total = powers.reduce((sum, power) => sum + power);
      for (const [i, power] of powers.entries()) {
        expect(probabilities[3 * row + i]).toBeCloseTo(power / total, 5);
      }
    }
    await session.release();
  });

  test("keeps labels that are strings", async () => {
    const names = encodeAttribute("classlabels_strings", "strings", ["ant", "bee", "cat"]);
    const { session } = await trainedFrom(logisticRegression(names));
    const inference = await InferenceSession.create(await session.exportModel());
    const results = await inference.run({ X });
    expect(results["label"]?.data).toEqual(["cat", "bee", "ant"]);
    await session.release();
  });

  test("gets no other number of classes, because the file lists them", () => {
    expect(() =>
      generateArtifacts(logisticRegression(), { loss: "mse", lossInput: "probabilities", classes: 5 }),
    ).toThrow(/The last layer before probabilities cannot be replaced: .*has 3 labels for 5 rows/);
  });
});
