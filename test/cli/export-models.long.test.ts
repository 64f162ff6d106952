import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, generateArtifacts } from "../../artifacts/index.ts";
import { decodeModel, encodeModel, floats } from "../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { smallCnn } from "../support/artifact-models.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const file = encodeModel(smallCnn());
const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));

beforeAll(async () => {
  const artifacts = generateArtifacts(file, { loss: "cross-entropy" });
  await writeTrainingArtifacts(join(folder, "build"), artifacts);
});

test("shake export gives back the file that artifacts were made from, with the checkpoint's weights", async () => {
  const plain = await shake(folder, "export", "build", "--out", "same.onnx");
  expect(plain).toMatchObject({ code: 0, stderr: "" });
  expect(read("same.onnx")).toEqual(Uint8Array.from(file));
  const checkpoint = decodeCheckpoint(read("build/checkpoint"));
  checkpoint.trainable.set("fc.bias", floats([7, 8, 9]));
  writeFileSync(join(folder, "build", "trained"), encodeCheckpoint(checkpoint));
  const trained = await shake(folder, "export", "build/trained", "--out", "trained.onnx", "--json");
  expect(JSON.parse(trained.stdout)).toEqual({ model: "trained.onnx", bytes: read("trained.onnx").length });
  const { graph } = decodeModel(read("trained.onnx"));
  expect(graph.initializers.find(({ name }) => name === "fc.bias")?.constant?.numbers()).toEqual([7, 8, 9]);
});

test("shake export --end-at writes the model up to a value inside it", async () => {
  const model = decodeModel(read("build/eval_model.onnx"));
  const pooled = model.graph.nodes.find(({ opType }) => opType === "GlobalAveragePool")?.output(0).name ?? "";
  const cut = await shake(folder, "export", "build", "--end-at", pooled, "--out", "cut.onnx");
  expect(cut).toMatchObject({ code: 0, stderr: "" });
  const { inputs, outputs } = decodeModel(read("cut.onnx")).graph;
  expect([inputs, outputs].map((values) => values.map(({ name }) => name))).toEqual([["images"], [pooled]]);
});

test("adapters are built, exported alone, and merged", async () => {
  writeFileSync(join(folder, "cnn.onnx"), file);
  const flags = ["--from", "cnn.onnx", "--loss", "cross-entropy", "--lora", "2", "--out", "lora"];
  expect(await shake(folder, "build-graph", ...flags)).toMatchObject({ code: 0 });
  const [alone, merged, none] = await Promise.all([
    shake(folder, "export", "lora", "--adapters", "--out", "changes"),
    shake(folder, "export", "lora", "--out", "merged.onnx"),
    shake(folder, "export", "build", "--adapters", "--out", "none"),
  ]);
  expect([alone, merged, none].map(({ code }) => code)).toEqual([0, 0, 2]);
  expect(decodeCheckpoint(read("changes")).trainable.size).toBe(6);
  expect(read("merged.onnx")).toEqual(Uint8Array.from(file));
  expect(none.stderr).toContain("The checkpoint has no adapters: its artifacts were made without lora.");
});

test("settings of ShakeNet's exports are refused for a model that came from a file", async () => {
  const { code, stderr } = await shake(folder, "export", "build", "--opset", "18", "--out", "x.onnx");
  expect(code).toBe(2);
  expect(stderr).toContain(
    "--opset is for networks of shake: a model that came from a file keeps the file's form.",
  );
});
