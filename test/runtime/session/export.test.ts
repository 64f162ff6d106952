import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { generateArtifacts, restoreModel } from "../../../artifacts/index.ts";
import {
  decodeModel,
  encodeModel,
  RandomStream,
  Tensor as TensorProto,
  withDataInside,
} from "../../../graph-builder/index.ts";
import { TrainingSession } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { mlp, smallCnn } from "../../support/artifact-models.ts";
import { externalFileOf } from "../../support/file-model.ts";

const device = await openDevice("cpu", { threads: 1 });
const images = new Float32Array(2 * 72);
new RandomStream(5, "images").fillNormal(images);
const feeds = {
  images: new Tensor("float32", images, [2, 2, 6, 6]),
  labels: new Tensor("int64", BigInt64Array.from([0n, 2n])),
};

async function trainedCnn() {
  const file = encodeModel(smallCnn());
  const artifacts = generateArtifacts(file, { loss: "cross-entropy", learningRate: 0.05 });
  const session = await TrainingSession.create(artifacts, device);
  return { file, artifacts, session };
}

test("exportModel gives the file back, and after a step the same file with the trained weights", async () => {
  const { file, session } = await trainedCnn();
  expect(await session.exportModel()).toEqual(file);
  await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  const exported = await session.exportModel();
  const [before, after] = [file, exported].map((bytes) => decodeModel(bytes));
  const constants = (model: typeof before) =>
    new Map(model?.graph.initializers.map(({ name, constant }) => [name, constant?.numbers()]));
  for (const [name, values] of constants(before)) {
    const own = constants(after).get(name);
    expect(own, name).not.toEqual(values);
    expect(own).toHaveLength(values?.length ?? 0);
  }
  expect(after?.metadataProps).toEqual({ author: "a test" });
  const inference = await InferenceSession.create(exported);
  expect([inference.inputNames, inference.outputNames]).toEqual([["images"], ["logits"]]);
  const { logits } = await inference.run({ images: feeds.images });
  const evaluated = (await session.runEvalStep(feeds))["logits"];
  const [ours = [], theirs = []] = [logits, evaluated].map((tensor) =>
    Array.from(tensor?.data ?? [], Number),
  );
  expect(ours).toHaveLength(6);
  expect(Math.max(...ours.map((value, i) => Math.abs(value - Number(theirs[i]))))).toBeLessThan(1e-6);
  await session.release();
});

test("exportModel of artifacts that came from no file is refused in a sentence", async () => {
  const artifacts = generateArtifacts(smallCnn().graph, { loss: "cross-entropy" });
  const session = await TrainingSession.create(artifacts, device);
  await expect(session.exportModel()).rejects.toMatchObject({
    message: "The session has no source model.",
    code: "model-missing",
  });
  await session.release();
});

test("an inference model ends at any value inside the model, by its name", async () => {
  const { artifacts, session } = await trainedCnn();
  const model = decodeModel(artifacts.evalModel);
  const pooled = model.graph.nodes.find(({ opType }) => opType === "GlobalAveragePool")?.output(0).name ?? "";
  const bytes = await session.exportInferenceModel([pooled, "logits"]);
  const inference = await InferenceSession.create(bytes);
  expect([inference.inputNames, inference.outputNames]).toEqual([["images"], [pooled, "logits"]]);
  const features = (await inference.run({ images: feeds.images }))[pooled];
  expect(features?.dims).toEqual([2, 5, 1, 1]);
  await expect(session.exportInferenceModel([`${pooled}x`])).rejects.toThrow(
    `The model has no value ${pooled}x. Did you mean ${pooled}?`,
  );
  await session.release();
});

test("a file with data beside it comes back as one file", async () => {
  const { bytes, files, whole } = externalFileOf(mlp(), "weights/all.bin");
  const { sourceModel, checkpoint } = generateArtifacts(bytes, { loss: "mse", externalData: files });
  const session = await TrainingSession.create(
    { ...generateArtifacts(bytes, { loss: "mse", externalData: files }), checkpoint, sourceModel },
    device,
  );
  expect(await session.exportModel()).toEqual(whole);
  await session.release();
  expect(() => generateArtifacts(bytes, { loss: "mse" })).toThrow(
    "its tensor hidden.weight lies in weights/all.bin, which is missing.",
  );
});

test("weights of more than 2 GB do not fit into one file, and a sentence says so", () => {
  const { sourceModel = new Uint8Array() } = generateArtifacts(mlp(), { loss: "mse" });
  // the memory is reserved, and never touched
  const large = new TensorProto("float", [2 ** 29], new Float32Array(2 ** 29));
  const message = "The model with its weights is 2.1 GB, and one .onnx file holds at most 2 GB.";
  const weights = {
    trainable: new Map([["hidden.weight", large]]),
    frozen: new Map(),
    properties: new Map(),
  };
  expect(() => restoreModel(sourceModel, weights)).toThrow(message);
  const file = new Uint8Array(large.data.buffer, 0, large.data.byteLength);
  const { bytes, files } = externalFileOf(mlp(), "a.bin");
  expect(() => withDataInside(bytes, new Map([...files, ["b.bin", file]]))).toThrow(message);
});

test("countCorrect adds the number of labels that have the highest score", async () => {
  const options = { loss: "cross-entropy", countCorrect: true } as const;
  const session = await TrainingSession.create(generateArtifacts(smallCnn(), options), device);
  expect(session.trainingOutputNames).toEqual(["loss", "correct"]);
  const { correct, logits } = await session.runEvalStep(feeds);
  const scores = Array.from(logits?.data ?? [], Number);
  const best = [scores.slice(0, 3), scores.slice(3)].map((row) => row.indexOf(Math.max(...row)));
  expect(Number(correct?.data[0])).toBe(best.filter((choice, i) => choice === [0, 2][i]).length);
  const labels = new Tensor("int64", BigInt64Array.from(best, BigInt));
  expect(Number((await session.runEvalStep({ ...feeds, labels }))["correct"]?.data[0])).toBe(2);
  await session.release();
  expect(() => generateArtifacts(mlp(), { loss: "mse", countCorrect: true })).toThrow(
    "correct labels are counted with cross-entropy alone: leave countCorrect out.",
  );
});
