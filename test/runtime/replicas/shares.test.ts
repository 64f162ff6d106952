import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { generateArtifacts } from "../../../artifacts/index.ts";
import { batchSymbol } from "../../../cli/commands/train/model-subject.ts";
import { decodeModel, encodeModel } from "../../../graph-builder/index.ts";
import { type BatchAxes, batchAxes, splitBatch } from "../../../runtime/replicas/shares.ts";
import { pictureModel } from "../../support/picture-models.ts";

test("replicas share a batch along the axis that pictures and labels have in common, whatever its name", () => {
  const file = encodeModel(pictureModel({ batch: "batch_size" }));
  const { trainingModel } = generateArtifacts(file, { loss: "cross-entropy" });
  const { graph } = decodeModel(trainingModel, "training_model.onnx");
  const batch = {
    x: new Tensor("float32", new Float32Array(5 * 3 * 12 * 12), [5, 3, 12, 12]),
    labels: new Tensor("int64", new BigInt64Array(5), [5]),
  };
  const sizes = (axes: BatchAxes) =>
    splitBatch(batch, axes, 2).map(({ tensors }) => [tensors["x"]?.dims[0], tensors["labels"]?.dims[0]]);
  const symbol = batchSymbol(graph, { input: "x", labels: "labels" });
  expect(symbol).toBe("batch_size");
  expect(sizes(batchAxes(graph, symbol))).toEqual([
    [3, 3],
    [2, 2],
  ]);
  expect(sizes(batchAxes(graph))).toEqual([[5, 5]]);
  expect(batchSymbol(graph, { input: "x", labels: "fc.bias" })).toBeUndefined();
});
