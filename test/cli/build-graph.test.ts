import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import {
  artifactFiles,
  decodeCheckpoint,
  type ModelManifest,
  parametersOf,
  restoreModel,
} from "../../artifacts/index.ts";
import { expectFittingFlags } from "../../cli/commands/build-graph/applicable.ts";
import { lossOf } from "../../cli/commands/build-graph/loss.ts";
import { ruleFrom } from "../../cli/commands/build-graph/optimizer.ts";
import { decodeModel, encodeModel, formatType, type Model } from "../../graph-builder/index.ts";
import { decodeMessage, encodeMessage } from "../../graph-builder/onnx/wire.ts";
import { mlp, smallCnn, twoHeads } from "../support/artifact-models.ts";
import { externalFileOf } from "../support/file-model.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const read = (...path: string[]) => readFileSync(join(folder, ...path));
const manifestIn = (out: string): ModelManifest => JSON.parse(read(out, "manifest.json").toString());

/** Writes a model whose float tensors lie in a file beside it. */
function writeWithExternalData(name: string, model: Model, isLost = false): void {
  const { bytes, files } = externalFileOf(model, `${basename(name)}.data`);
  writeFileSync(join(folder, name), bytes);
  if (!isLost) for (const [location, data] of files) writeFileSync(join(folder, location), data);
}

test("build-graph --from writes the artifacts of a model with external data, and says what they train", async () => {
  writeWithExternalData("cnn.onnx", smallCnn());
  const { code, stdout, stderr } = await shake(
    folder,
    ...["build-graph", "--from", "cnn.onnx", "--out", "cnn"],
    ...["--loss", "cross-entropy", "--class-weights", "1", "2", "0.5", "--ignore-index", "-1"],
    ...["--trainable", "second.*", "head", "--trainable", "!second.bn.bias"],
    ...["--optimizer", "sgd-momentum", "--learning-rate", "0.1", "--clip-norm", "5", "--seed", "7"],
    ...["--groups", "*.bias:weight-decay=0,learning-rate=2", "--weight-decay", "1e-4"],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^inputs +images float\[batch, 2, 6, 6\]; labels int64\[batch\]$/m);
  expect(stdout).toMatch(
    /^outputs +loss float\[\]; when evaluated also logits float\[batch, 3\]; correct int64$/m,
  );
  expect(stdout).toMatch(
    /^optimizer +sgd-momentum, learning rate 0.1, momentum 0.9, weight decay 0.0001, clip norm 5$/m,
  );
  expect(stdout).toMatch(/^groups +\*\.bias: weight decay 0, learning rate 2$/m);
  expect(stdout).toMatch(
    /^pictures +images, fed as raw \(0\.\.255\) unless shake train --pixels says otherwise: imagenet for/m,
  );
  expect(stdout).toMatch(/^fc\.weight +\[3, 5\] +15$/m);
  expect(stdout).toMatch(/^second\.bn\.bias +\[5\] +5$/m);
  expect(stdout).toMatch(/^ +4 +running statistics of batch normalisation +first\.bn\.running_mean/m);
  expect(stdout).toMatch(/Written to cnn\. Next:\n.* inspect cnn\n.* export cnn --out cnn-trained\.onnx\n$/);
  expect(manifestIn("cnn")).toMatchObject({
    model: "cnn",
    trainable: ["second.conv.weight", "second.bn.weight", "fc.weight", "fc.bias"],
    frozen: ["first.conv.weight", "first.bn.weight", "first.bn.bias", "second.bn.bias"],
    loss: { type: "cross-entropy", classWeights: [1, 2, 0.5], ignoreIndex: -1 },
    optimizer: {
      kind: "sgd-momentum",
      maxNorm: 5,
      groups: { "*.bias": { weightDecay: 0, learningRate: 2 } },
    },
  });
  const checkpoint = decodeCheckpoint(read("cnn", artifactFiles.checkpoint));
  expect(checkpoint.optimizer?.initialLearningRate).toBeCloseTo(0.1);
  expect(checkpoint.properties.get("seed")).toBe(7n);
  const restored = decodeModel(restoreModel(read("cnn", artifactFiles.sourceModel), checkpoint));
  const weights = ({ graph }: ReturnType<typeof decodeModel>) =>
    parametersOf(graph).map(({ name, tensor }) => [name, tensor.numbers()]);
  expect(weights(restored)).toEqual(weights(smallCnn()));
});

test("build-graph --from takes soft labels, and Muon with weights that are left to SGD", async () => {
  writeFileSync(join(folder, "soft.onnx"), encodeModel(smallCnn()));
  const { code, stdout, stderr } = await shake(
    folder,
    ...["build-graph", "--from", "soft.onnx", "--out", "soft", "--loss", "cross-entropy", "--soft-labels"],
    ...["--optimizer", "muon", "--sgd-rate", "4", "--groups", "fc.weight:newton-schulz-steps=0"],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^inputs +images float\[batch, 2, 6, 6\]; labels float\[batch, 3\]$/m);
  expect(stdout).toMatch(/^optimizer +muon, .*momentum 0.95, weight decay 0.1, .*sgd rate 4$/m);
  expect(stdout).toMatch(/^groups +fc\.weight: newton schulz steps 0$/m);
});

test("build-graph --from writes one training model with its update, and a chunk of steps, in standard ONNX", async () => {
  writeFileSync(join(folder, "mlp.onnx"), encodeModel(mlp()));
  const flags = [
    "--loss",
    "mse",
    "--target",
    "standard",
    "--chunk",
    "--classes",
    "6",
    "--config",
    "settings.json",
  ];
  writeFileSync(join(folder, "settings.json"), JSON.stringify({ trainable: ["out.*"], out: "chunk" }));
  const { code, stdout } = await shake(folder, "build-graph", "--from", "mlp.onnx", ...flags);
  expect(code).toBe(0);
  expect(stdout).toMatch(/learning rate as an input/);
  expect(stdout).toMatch(/^new last layer +out\.weight, out\.bias for 6 classes, drawn from .* of seed 1$/m);
  const { graph } = decodeModel(read("chunk", "epoch_model.onnx"), "chunk", { uncovered: "keep" });
  const inputs = graph.inputs.map(({ name, type }) => `${name} ${formatType(type)}`);
  expect(inputs).toContain("x float[steps, batch, 3]");
  expect(inputs).toContain("target float[steps, batch, 6]");
  expect(inputs).toContain("learning_rate float[steps, 1]");
  expect(manifestIn("chunk")).toMatchObject({ fused: true, trainable: ["out.weight", "out.bias"] });
});

/** The file of a model that says another opset. */
function ofOpset(version: number, model: Model): Uint8Array {
  const message = decodeMessage("ModelProto", encodeModel(model));
  return encodeMessage("ModelProto", { ...message, opsetImport: [{ domain: "", version }] });
}

test("build-graph --from refuses what does not fit the model before it writes anything", async () => {
  writeFileSync(join(folder, "heads.onnx"), encodeModel(twoHeads()));
  writeWithExternalData("lost.onnx", mlp(), true);
  writeFileSync(join(folder, "old.onnx"), ofOpset(7, mlp()));
  writeFileSync(join(folder, "whole.onnx"), encodeModel(mlp()));
  const cases: readonly (readonly [flags: string[], sentence: string])[] = [
    [
      ["heads.onnx", "--loss", "mse"],
      "heads.onnx has the outputs scores, box: say which the loss reads with --loss-input NAME.",
    ],
    [
      ["heads.onnx", "--loss", "mse", "--loss-input", "box", "--trainable", "trnk.*"],
      "No parameter of the model matches trnk.*. It has trunk.weight, box.weight.",
    ],
    [
      ["lost.onnx", "--loss", "mse"],
      "lost.onnx cannot be used: its tensor hidden.weight lies in lost.onnx.data, which is missing.",
    ],
    [
      ["whole.onnx", "--loss", "cross-entropy", "--class-weights", "1", "2", "3"],
      "--class-weights has 3 numbers, and there are 2 for the classes.",
    ],
    [
      ["whole.onnx", "--loss", "cross-entropy", "--class-weights", "0", "0"],
      "--class-weights are all 0, so no label counts: give one above 0.",
    ],
    [
      ["whole.onnx", "--loss", "mse", "--groups", "*.bias:weight-decay=-1"],
      "weight-decay of the group *.bias is -1, and must be a number from 0.",
    ],
    [["whole.onnx", "--loss", "mse", "--additional-outputs", "y", "y"], "--additional-outputs has y twice."],
    [
      ["whole.onnx", "--loss", "mse", "--class-map", "names.txt"],
      "--class-map names the classes of --data: give --data FOLDER too.",
    ],
    [
      ["whole.onnx", "--loss", "mse", "--class-map", "names.txt", "--data", "shapes"],
      "--class-map is for pictures of one's own, and --data is shapes.",
    ],
    [
      ["whole.onnx", "--loss", "mse", "--trainable", ""],
      "--trainable needs a value: one or more values, each a text.",
    ],
    [
      ["whole.onnx", "--loss", "mse", "--classes", "1000000000"],
      "out.weight [1000000000, 4] would have 4,000,000,000 values, and a checkpoint holds less than 536,870,912.",
    ],
    [
      ["old.onnx", "--loss", "mse"],
      "old.onnx cannot be used: it imports opset 7 of ai.onnx, and only 9 and later are read; onnx.version_converter.convert_version(model, 17) of the Python package onnx writes a newer one.",
    ],
  ];
  const refused = await Promise.all(
    cases.map(([flags]) => shake(folder, "build-graph", "--from", ...flags, "--out", "refused")),
  );
  for (const [i, { code, stderr }] of refused.entries()) {
    expect({ code, stderr }).toEqual({ code: 2, stderr: `shake: ${cases[i]?.[1]}\n` });
  }
  expect(() => read("refused", "manifest.json")).toThrow("ENOENT");
});

test.each([
  [
    { from: "m.onnx", depth: 8 },
    "--depth does not apply to --from m.onnx: it is a setting of ShakeNet's own network.",
  ],
  [{ from: "m.onnx", valSplit: 0.2 }, "--val-split does not apply to --from m.onnx"],
  [{ loss: ["mse"] }, "--loss needs --from MODEL.onnx: without it, build-graph compiles ShakeNet."],
  [{ learningRate: 1 }, "--learning-rate needs --from MODEL.onnx"],
])("a flag that does not apply is refused: %j", (given, sentence) => {
  expect(() => expectFittingFlags(given)).toThrow(sentence);
});

test.each([
  [
    {},
    "--from needs --loss: cross-entropy, mse, l1, bce-with-logits, or output:NAME. The model's outputs are logits.",
  ],
  [{ loss: ["cross-entrpy"] }, /not cross-entrpy\. Did you mean cross-entropy\?$/],
  [{ loss: ["logits"] }, /Did you mean output:logits\?$/],
  [
    { loss: ["mse", "0.4*l1"], classWeights: [1] },
    "--class-weights is an option of cross-entropy, not of mse and 0.4*l1.",
  ],
  [{ loss: ["x*mse"] }, "--loss x*mse has no number in front of *: write 0.4*mse, for instance."],
  [{ loss: ["*mse"] }, "--loss *mse has no number in front of *"],
  [{ loss: ["0.4*mes:logits"] }, "not 0.4*mes:logits. Did you mean mse?"],
  [{ loss: ["mse:"] }, "or output:NAME, not mse:."],
  [{ loss: ["output"] }, "or output:NAME, not output."],
  [
    { loss: ["output:logits"], lossInput: "logits" },
    /^--loss-input is an option of .*, not of output:logits\.$/,
  ],
])("a loss that cannot be is refused: %j", (given, sentence) => {
  expect(() => lossOf(given, ["logits"])).toThrow(sentence);
});

test("several losses are a weighted sum, and each says what it reads", () => {
  const given = { loss: ["cross-entropy:scores", "0.4 * mse:onnx::Gemm_7", "-1e-3*output:sparsity", "l1"] };
  expect(lossOf({ ...given, classWeights: [1, 2] }, [])).toEqual([
    { loss: { type: "cross-entropy", classWeights: [1, 2], input: "scores" }, weight: 1 },
    { loss: { type: "mse", input: "onnx::Gemm_7" }, weight: 0.4 },
    { loss: { output: "sparsity" }, weight: -1e-3 },
    { loss: { type: "l1" }, weight: 1 },
  ]);
  expect(lossOf({ loss: ["mse:a"], reduction: "sum" }, [])).toEqual({
    type: "mse",
    input: "a",
    reduction: "sum",
  });
  expect(lossOf({ loss: ["0.5*output:a"] }, [])).toEqual([{ loss: { output: "a" }, weight: 0.5 }]);
});

test("build-graph --from sums losses, and has adapters of some weights", async () => {
  writeFileSync(join(folder, "both.onnx"), encodeModel(twoHeads()));
  const [made, refused] = await Promise.all([
    shake(
      folder,
      ...["build-graph", "--from", "both.onnx", "--out", "both", "--lora", "2", "--lora-alpha", "4"],
      ...[
        "--lora-targets",
        "trunk.*",
        "--trainable",
        "head",
        "--loss",
        "cross-entropy:scores",
        "0.4*mse:box",
      ],
    ),
    shake(folder, "build-graph", "--from", "both.onnx", "--loss", "mse", "--lora-alpha", "4"),
  ]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(made.stdout).toMatch(
    /^inputs +x float\[batch, 3\]; labels int64\[batch\]; target float\[batch, 4\]$/m,
  );
  expect(made.stdout).toMatch(/^loss +cross-entropy:scores \+ 0\.4\*mse:box$/m);
  const { trainable, loss } = manifestIn("both");
  expect(trainable).toContain("trunk.weight.lora_A");
  expect(trainable).not.toContain("scores.weight.lora_A");
  expect(loss).toMatchObject([{ loss: { type: "cross-entropy", input: "scores" } }, { weight: 0.4 }]);
  const { properties } = decodeCheckpoint(read("both", artifactFiles.checkpoint));
  expect(JSON.parse(String(properties.get("lora")))).toMatchObject({ scale: 2 });
  expect(refused).toMatchObject({
    code: 2,
    stderr: "shake: --lora-alpha is a setting of low-rank adapters: give --lora RANK too.\n",
  });
});

test.each([
  [{ momentum: 0.5 }, "--momentum is a setting of sgd-momentum, sgd-nesterov, muon, not of adamw."],
  [{ sgdRate: 2 }, "--sgd-rate is a setting of muon, not of adamw."],
  [{ optimizer: "sgd" as const, betas: [0.9, 0.99] }, "--betas is a setting of adamw, not of sgd."],
  [{ groups: ["*.bias"] }, /^--groups must be a glob and settings, such as .*, not \*\.bias\.$/],
  [{ groups: ["*.bias:decay"] }, /^--groups must be a glob and settings/],
  [{ groups: ["*.bias:weight-decay=x"] }, /^--groups must be a glob and settings/],
])("an optimizer that cannot be is refused: %j", (given, sentence) => {
  expect(() => ruleFrom(given)).toThrow(sentence);
});

test("the optimizer's flags make its rule, with PyTorch's constants where they say nothing", () => {
  expect(ruleFrom({ betas: [0.8, 0.9], groups: ["onnx::MatMul_7 : epsilon = 1e-3"], clipValue: 2 })).toEqual({
    kind: "adamw",
    alpha: 0.8,
    beta: 0.9,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correctBias: true,
    mode: 0,
    clipValue: 2,
    groups: { "onnx::MatMul_7": { epsilon: 1e-3 } },
  });
  expect(ruleFrom({ optimizer: "sgd" })).toEqual({ kind: "sgd" });
});

test("export takes a folder of build-graph, of a file or of a ShakeNet, and names the file that it lacks", async () => {
  writeFileSync(join(folder, "lacking.onnx"), encodeModel(mlp()));
  for (const flags of [
    ["--from", "lacking.onnx", "--loss", "mse", "--out", "lacking"],
    ["--width", "2", "--out", "shakenet"],
  ]) {
    expect(await shake(folder, "build-graph", ...flags)).toMatchObject({ code: 0, stderr: "" });
  }
  expect(await shake(folder, "export", "shakenet", "--out", "shakenet.onnx")).toMatchObject({ code: 0 });
  const chosen = await shake(folder, "export", "lacking", "--checkpoint", "best", "--out", "trained.onnx");
  expect(chosen.stderr).toBe(
    "shake: --checkpoint chooses a checkpoint of a run, and lacking is not the folder of one.\n",
  );
  for (const name of [artifactFiles.checkpoint, artifactFiles.sourceModel]) {
    rmSync(join(folder, "lacking", name));
    const refused = await shake(folder, "export", "lacking", "--out", "trained.onnx");
    expect(refused).toMatchObject({ code: 2, stderr: `shake: lacking/${name} does not exist.\n` });
  }
  expect(existsSync(join(folder, "trained.onnx"))).toBe(false);
});
