import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { at } from "../../graph-builder/index.ts";
import { shapesDataset } from "../../runtime/index.ts";
import {
  buildTrainingArtifacts,
  eigen,
  setWhitening,
  trainingModel,
  whiteningFilters,
} from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const { mean, std } = tinySettings();

test("eigen gives a symmetric matrix back as its vectors times its values, the largest first", () => {
  const size = 9;
  const matrix = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => Math.cos(i * j) + (i === j ? 1 : 0) + 1 / (1 + i + j)),
  );
  const { values, vectors } = eigen(matrix);
  expect(values).toEqual([...values].sort((a, b) => b - a));
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const sum = (of: (k: number) => number) => vectors.reduce((total, _, k) => total + of(k), 0);
      const product = sum((k) => at(values, k) * at(at(vectors, k), i) * at(at(vectors, k), j));
      expect(product).toBeCloseTo(at(at(matrix, i), j), 12);
      const inner = at(vectors, i).reduce((total, x, k) => total + x * at(at(vectors, j), k), 0);
      expect(inner).toBeCloseTo(i === j ? 1 : 0, 12);
    }
  }
});

test.each([2, 3])(
  "the responses of filters of side %i to the patches are uncorrelated, with variance 1 and both signs",
  (kernel) => {
    const dataset = shapesDataset("train", 8);
    const filters = whiteningFilters(dataset, { mean, std }, kernel);
    const size = 3 * kernel ** 2;
    expect(filters.dims).toEqual([2 * size, 3, kernel, kernel]);
    const weights = filters.numbers();
    const moments = Array.from({ length: size }, () => new Float64Array(size));
    let patches = 0;
    for (let image = 0; image < 8; image++) {
      for (let top = 0; top + kernel <= 32; top++) {
        for (let left = 0; left + kernel <= 32; left++) {
          const patch = Array.from({ length: size }, (_, i) => {
            const channel = Math.floor(i / kernel ** 2);
            const row = top + (Math.floor(i / kernel) % kernel);
            const pixel = at(dataset.images, image * 3072 + channel * 1024 + row * 32 + left + (i % kernel));
            return (pixel - at(mean, channel)) / at(std, channel);
          });
          const responses = Array.from({ length: size }, (_, i) =>
            patch.reduce((sum, x, j) => sum + x * at(weights, i * size + j), 0),
          );
          for (const [i, row] of moments.entries()) {
            for (let j = 0; j < size; j++) row[j] = at(row, j) + at(responses, i) * at(responses, j);
          }
          patches++;
        }
      }
    }
    for (const [i, row] of moments.entries()) {
      for (const [j, sum] of row.entries()) {
        // the small constant beside the eigenvalues makes the variances a little smaller than 1
        if (i === j) expect(sum / patches).toBeGreaterThan(0.8);
        expect(sum / patches).toBeLessThan(i === j ? 1.0001 : 0.0001);
      }
    }
    expect(weights.slice(size * size)).toEqual(weights.slice(0, size * size).map((weight) => -weight));
  },
);

test("a whitening stem is a constant of the training model that comes from the images, with a trained bias", () => {
  const settings = tinySettings({ stem: "whitening-3", stemStride: 2 });
  const { graph, bindings, parameters } = trainingModel(settings);
  const stem = parameters.filter(({ name }) => name.startsWith("stem."));
  expect(stem.map(({ name, shape, kind }) => [name, shape, kind])).toEqual([
    ["stem.conv.weight", [54, 3, 3, 3], "constant"],
    ["stem.conv.bias", [54], "parameter"],
  ]);
  expect(bindings).toContainEqual({ role: "constant", input: "stem.conv.weight" });
  const conv = graph.nodes.find(({ name }) => name.startsWith("stem/") && name.includes("Conv"));
  expect(conv?.output(0).shape).toMatchObject([{ name: "batch" }, 54, 16, 16]);
  const checkpoint = decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint);
  const dataset = shapesDataset("train", 20);
  setWhitening(checkpoint, settings, dataset);
  expect(checkpoint.frozen.get("stem.conv.weight")).toEqual(whiteningFilters(dataset, settings, 3));
});

test("a whitening stem of 2x2 keeps the size of the image", () => {
  const { graph } = trainingModel(tinySettings({ stem: "whitening-2" }));
  const conv = graph.nodes.find(({ name }) => name.startsWith("stem/") && name.includes("Conv"));
  expect(conv?.output(0).shape).toMatchObject([{ name: "batch" }, 24, 32, 32]);
});

test("a whitening stem with pooling halves the image and gives as many channels as the first stage has", () => {
  const settings = tinySettings({ width: 6, stem: "whitening-pool" });
  const { parameters, graph } = trainingModel(settings);
  const stem = parameters.filter(({ name }) => name.startsWith("stem."));
  expect(stem.slice(0, 2).map(({ name, shape, kind }) => [name, shape, kind])).toEqual([
    ["stem.conv.weight", [24, 3, 2, 2], "constant"],
    ["stem.conv2.weight", [6, 24, 3, 3], "parameter"],
  ]);
  const pool = graph.nodes.find(({ opType }) => opType === "MaxPool");
  expect(pool?.input(0).shape.slice(1)).toEqual([6, 32, 32]);
  expect(pool?.output(0).shape.slice(1)).toEqual([6, 16, 16]);
  // the first block has the stem's channels, and so no convolution in its shortcut
  expect(parameters.some(({ name }) => name.startsWith("stage1.block0.shortcut"))).toBe(false);
});
