import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { decodeModel, type Value } from "../../graph-builder/index.ts";
import { frozenModel } from "../../shakenet/provenance.ts";

const packaged = (name: string) => readFile(new URL(`../../models/${name}`, import.meta.url));

test("models/cifar10.checkpoint freezes to the weights of models/cifar10.onnx", async () => {
  const checkpoint = decodeCheckpoint(await packaged("cifar10.checkpoint"), "cifar10.checkpoint");
  const weights = ({ initializers }: { initializers: Value[] }) =>
    initializers.map(({ name, constant }) => [name, constant?.data]);
  const shipped = weights(decodeModel(await packaged("cifar10.onnx")).graph);
  expect(shipped.length).toBeGreaterThan(30);
  expect(weights(decodeModel(frozenModel(checkpoint, "cifar10.checkpoint")).graph)).toEqual(shipped);
});
