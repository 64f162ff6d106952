import { writeFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto from "onnx-proto";
import { beforeAll, describe, expect, test } from "vitest";
import { shake, temporaryFolder } from "../support/shake.ts";

const { onnx } = onnxProto;
const folder = temporaryFolder();
const json = async (...args: string[]) => JSON.parse((await shake(folder, ...args, "--json")).stdout);
const training = "art/training_model.onnx";

beforeAll(async () => {
  expect((await shake(folder, "build-graph", "--width", "2", "--out", "art")).code).toBe(0);
  writeFileSync(join(folder, "foreign.onnx"), foreignModel("Relu", 17));
  writeFileSync(join(folder, "uncovered.onnx"), foreignModel("StringNormalizer", 17));
  writeFileSync(join(folder, "old.onnx"), foreignModel("Relu", 7));
});

/** A matrix product with a nameless weight, and an operator behind it, as another program writes them. */
function foreignModel(opType: string, opset: number): Uint8Array {
  const value = (name: string, ...dims: ({ dimValue: number } | { dimParam: string })[]) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: dims } } },
  });
  const model = {
    irVersion: 8,
    producerName: "another",
    opsetImport: [{ domain: "", version: opset }],
    metadataProps: [{ key: "author", value: "somebody" }],
    graph: {
      name: "main",
      input: [value("x", { dimParam: "n" }, { dimValue: 3 })],
      output: [value("y", { dimParam: "n" }, { dimValue: 2 })],
      initializer: [{ name: "onnx::MatMul_7", dataType: 1, dims: [3, 2], floatData: [1, 2, 3, 4, 5, 6] }],
      node: [
        { name: "/fc/MatMul", opType: "MatMul", input: ["x", "onnx::MatMul_7"], output: ["h"] },
        { name: "/act", opType, input: ["h"], output: ["y"] },
      ],
    },
  };
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish();
}

describe("inspect of a model of another program", () => {
  test("counts a weight that has no name of ours, and names its layer by the node", async () => {
    expect(await json("inspect", "foreign.onnx")).toMatchObject({
      producer: "another",
      parameters: 6,
      nodes: 2,
    });
    const { stdout } = await shake(folder, "inspect", "foreign.onnx");
    expect(stdout).toMatch(/^\/fc\/MatMul +MatMul +float\[n, 2\] +6 +12$/m);
  });

  test.each([
    ["uncovered.onnx", "StringNormalizer", /uncovered\.onnx cannot be used: .*StringNormalizer.* at \/act/],
    ["old.onnx", "Relu", /old\.onnx cannot be used: it imports opset 7 of ai\.onnx/],
  ])("that the compiler does not read says what is in the file, and why: %s", async (file, operator, why) => {
    const facts = await json("inspect", file);
    expect(facts).toMatchObject({
      kind: "model",
      inputs: { x: "float[n, 3]" },
      outputs: { y: "float[n, 2]" },
      operators: { MatMul: 1, [operator]: 1 },
      initializers: { tensors: 1, values: 6 },
      metadata: { author: "somebody" },
    });
    expect(facts.not_covered).toMatch(why);
    const { code, stdout } = await shake(folder, "inspect", file);
    expect(code).toBe(0);
    expect(stdout).toMatch(why);
  });

  test("prints a graph with operators that are not covered, also as Graphviz's drawing", async () => {
    const graph = await shake(folder, "inspect", "uncovered.onnx", "--graph");
    expect(graph.code).toBe(0);
    expect(graph.stdout).toMatch(/y = StringNormalizer \(\w+\)/);
    const dot = await shake(folder, "inspect", "uncovered.onnx", "--dot");
    expect(dot.stdout).toMatch(/\[label="StringNormalizer"/);
  });

  test("says with --training what can be trained, and which node keeps the rest from it", async () => {
    expect(await json("inspect", "foreign.onnx", "--training")).toMatchObject({
      kind: "training",
      outputs: [{ name: "y", type: "float[n, 2]" }],
      parameters: [{ name: "onnx::MatMul_7", values: 6, trainable: true, trainable_from: ["y"] }],
      obstacles: [],
    });
    const { code, stdout } = await shake(folder, "inspect", "uncovered.onnx", "--training");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^trainable +0 of 1 parameters, 0 of 6 values$/m);
    expect(stdout).toMatch(
      /StringNormalizer at \/act .*\n {2}This keeps 1 parameter from being trained: onnx::MatMul_7\./,
    );
    const asked = ["build-graph", "--from", "uncovered.onnx", "--loss", "mse", "--out", "refused"];
    const refused = await shake(folder, ...asked);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /^shake: uncovered\.onnx cannot be trained as asked: .*StringNormalizer at/,
    );
    expect(refused.stderr).toMatch(
      /keeps onnx::MatMul_7 from being trained.* inspect uncovered\.onnx --training lists/,
    );
  });

  test("refuses to print the graph of a file that is too old, and says how to convert it", async () => {
    const { code, stdout, stderr } = await shake(folder, "inspect", "old.onnx", "--graph");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/it imports opset 7 of ai\.onnx, .*version_converter/);
  });
});

test.each([
  [["--dot", "--json"], "--dot prints a model, so --json does not go with it."],
  [["--graph", "--training"], "--graph prints a model, so --training does not go with it."],
  [["--test-limit", "8"], "--test-limit is for --branches, which measures images."],
])("inspect refuses %s, of which one would be ignored", async (flags, sentence) => {
  const { code, stdout, stderr } = await shake(folder, "inspect", training, ...flags);
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: `shake: ${sentence}\n` });
});

describe("inspect prints", () => {
  test("a model in ONNX's textual syntax, with its header and functions", async () => {
    const { stdout } = await shake(folder, "inspect", training, "--graph");
    expect(stdout).toMatch(/^<\n {2}ir_version: 8,\n {2}opset_import: \[/);
    expect(stdout).toMatch(/shakenet\.ShakeForward \(/);
    expect(stdout).toMatch(/domain: "shakenet"/);
  });

  test("a model as a device runs it, in ai.onnx alone", async () => {
    const { code, stdout } = await shake(folder, "inspect", training, "--lowered", "webgpu");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}opset_import: \["" : 17\],?$/m);
    expect(stdout).not.toMatch(/ = (com\.microsoft|shakenet)\./);
    const { stdout: cpu } = await shake(folder, "inspect", training, "--lowered", "cpu", "--graph");
    expect(cpu).not.toMatch(/ = shakenet\./);
    expect(cpu).not.toBe(stdout);
  });

  test("a drawing in Graphviz's language, of a lowered model too", async () => {
    const { stdout } = await shake(folder, "inspect", training, "--dot");
    expect(stdout).toMatch(/^digraph "/);
    expect(stdout).toMatch(/\[label="ShakeForward"/);
    const { stdout: lowered } = await shake(folder, "inspect", training, "--dot", "--lowered", "cuda");
    expect(lowered).toMatch(/^digraph "/);
    expect(lowered).not.toMatch(/\[label="ShakeForward"/);
  });

  test("no graph of what is no model, and no device that does not exist", async () => {
    const checkpoint = await shake(folder, "inspect", "art/checkpoint", "--dot");
    expect(checkpoint).toMatchObject({
      code: 2,
      stderr: "shake: art/checkpoint is no model: only a model has a graph.\n",
    });
    const device = await shake(folder, "inspect", training, "--lowered", "webgup");
    expect(device.stderr).toMatch(
      /^shake: --lowered must be one of .*, not webgup\. Did you mean webgpu\?\n$/,
    );
  });
});
