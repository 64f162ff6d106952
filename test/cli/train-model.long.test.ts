import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { generateArtifacts } from "../../artifacts/index.ts";
import { decodeModel, encodeModel, withMetadata } from "../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { pictureModel } from "../support/picture-models.ts";
import { type Finished, shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const file = encodeModel(pictureModel({ layout: "nhwc" }));
const read = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
const flags = ["--train-limit", "96", "--test-limit", "40", "--epochs", "2", "--batch-size", "16"];
const lastLine = (name: string) => readFileSync(join(folder, name), "utf8").trim().split("\n").at(-1) ?? "";
let trained: Finished;

beforeAll(async () => {
  const options = { loss: "cross-entropy", learningRate: 0.02, countCorrect: true } as const;
  await writeTrainingArtifacts(join(folder, "build/mine"), generateArtifacts(file, options));
  trained = await shake(
    folder,
    ...["train", "--artifacts", "build/mine", "--pixels", "0.5/0.25", "--threads", "1", ...flags],
  );
});

test("a classifier that came from a file is trained on pictures of its own size and layout", () => {
  expect(trained).toMatchObject({ code: 0 });
  expect(trained.stderr).toContain("mine, pictures 12 x 12 x 3 fed 0.5/0.25");
  expect(trained.stderr).toContain("learning rate 0.02,");
  expect(trained.stdout).toContain("export runs/mine-shapes-s1 --out mine.onnx");
  const config = JSON.parse(readFileSync(join(folder, "runs/mine-shapes-s1/config.json"), "utf8"));
  expect(config.feeding).toEqual({
    input: "x",
    labels: "labels",
    scores: "y",
    type: "float32",
    layout: "nhwc",
    channels: 3,
    height: 12,
    width: 12,
    pixels: "0.5/0.25",
    classes: 10,
  });
});

test("its config.json trains the same bytes again, beside the artifacts", async () => {
  const given = ["--artifacts", "build/mine", "--config", "runs/mine-shapes-s1/config.json"];
  const { code, stderr } = await shake(folder, "train", ...given, "--run-dir", "again");
  expect({ code, stderr }).toMatchObject({ code: 0 });
  for (const result of ["model.onnx", "checkpoints/last"])
    expect(read(`again/${result}`), result).toEqual(read(`runs/mine-shapes-s1/${result}`));
});

test("the run's model is the file with other weights, and its metadata say how it is fed", () => {
  const [before, after] = [file, read("runs/mine-shapes-s1/model.onnx")].map((bytes) => decodeModel(bytes));
  const names = (values: readonly { readonly name: string | undefined }[] = []) =>
    values.map(({ name }) => name);
  for (const part of ["inputs", "outputs", "nodes"] as const) {
    expect(names(after?.graph[part])).toEqual(names(before?.graph[part]));
  }
  expect(after?.metadataProps).toMatchObject({
    author: "a test",
    pixels: "0.5/0.25",
    image_size: "12x12",
    scores: "y",
    data: "shapes",
    steps: "12",
  });
});

test("eval gives the run and its exported model the accuracy of the training, and verify agrees", async () => {
  const [run, model, verified] = await Promise.all([
    shake(folder, "eval", "--run", "runs/mine-shapes-s1", "--json"),
    shake(folder, "eval", "--model", "runs/mine-shapes-s1/model.onnx", "--test-limit", "40", "--json"),
    shake(folder, "verify", "runs/mine-shapes-s1/model.onnx", "--json"),
  ]);
  const { test_accuracy: accuracy, test_loss: loss } = JSON.parse(
    lastLine("runs/mine-shapes-s1/metrics.jsonl"),
  );
  expect(JSON.parse(run.stdout)).toMatchObject({ accuracy, loss, images: 40 });
  expect(JSON.parse(model.stdout)).toMatchObject({ accuracy, loss, images: 40 });
  expect(verified.code).toBe(0);
});

test("shake export gives the same model again, and predict feeds it as it was trained", async () => {
  const exported = await shake(folder, "export", "runs/mine-shapes-s1", "--out", "mine.onnx");
  expect(exported).toMatchObject({ code: 0 });
  expect(read("mine.onnx")).toEqual(read("runs/mine-shapes-s1/model.onnx"));
  await sharp({ create: { width: 40, height: 30, channels: 3, background: "red" } })
    .png()
    .toFile(join(folder, "red.png"));
  const [own, said, raw] = await Promise.all([
    shake(folder, "predict", "mine.onnx", "red.png", "--json"),
    shake(folder, "predict", "mine.onnx", "red.png", "--pixels", "0.5/0.25", "--json"),
    shake(folder, "predict", "mine.onnx", "red.png", "--pixels", "raw", "--json"),
  ]);
  const probability = ({ stdout }: Finished) => JSON.parse(stdout).predictions[0].probability;
  expect(probability(own)).toBe(probability(said));
  expect(probability(raw)).not.toBeCloseTo(probability(own), 3);
});

test("a run is resumed as it was begun, and other settings are refused", async () => {
  const other = await shake(folder, "train", "--resume", "runs/mine-shapes-s1", "--pixels", "unit");
  const more = await shake(folder, "train", "--resume", "runs/mine-shapes-s1", "--threads", "1");
  expect(more).toMatchObject({ code: 0 });
  expect(other).toMatchObject({ code: 2 });
  expect(other.stderr).toContain("--pixels unit contradicts runs/mine-shapes-s1, which has pixels 0.5/0.25");
});

test("the cost of a picture is that of the size and of one of a fixed batch", async () => {
  const costs = await Promise.all(
    [pictureModel(), pictureModel({ side: "side" }), pictureModel({ batch: 4 })].map(async (model, i) => {
      const options = { loss: "cross-entropy", countCorrect: true } as const;
      await writeTrainingArtifacts(join(folder, `build/cost${i}`), generateArtifacts(model, options));
      const size = i === 1 ? ["--image-size", "12"] : [];
      const flags = ["--artifacts", `build/cost${i}`, "--train-limit", "16", "--dry-run", ...size];
      const { stdout, stderr } = await shake(folder, "train", ...flags);
      return /FLOPs an image +(.*)/.exec(stdout + stderr)?.[1];
    }),
  );
  const whole = "12.2 k forward, 12.6 k backward";
  expect(costs).toEqual([whole, whole, "12.2 k forward, 12.4 k backward"]);
});

test("what shake train cannot train is one sentence", async () => {
  await writeTrainingArtifacts(join(folder, "build/mse"), generateArtifacts(file, { loss: "mse" }));
  const size = await shake(folder, "train", "--artifacts", "build/mine", "--image-size", "16");
  expect(size).toMatchObject({
    code: 2,
    stderr: "shake: The model takes pictures of 12 x 12: leave --image-size out.\n",
  });
  const mixed = await shake(
    folder,
    "train",
    "--artifacts",
    "build/mine",
    "--mixup",
    "0.2",
    "--run-dir",
    "mixed",
  );
  expect(mixed).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^shake: Mixed pictures need .*\n$/),
  });
  expect(existsSync(join(folder, "mixed"))).toBe(false);
  const sum = [{ loss: "cross-entropy", weight: 0.5 }] as const;
  await writeTrainingArtifacts(join(folder, "build/sum"), generateArtifacts(file, { loss: sum }));
  const weighted = await shake(folder, "train", "--artifacts", "build/sum");
  expect(weighted.stderr).toContain('and the loss of these artifacts is [{"loss":"cross-entropy"');
  const [mse, depth, pixels] = await Promise.all([
    shake(folder, "train", "--artifacts", "build/mse"),
    shake(folder, "train", "--artifacts", "build/mine", "--depth", "14"),
    shake(folder, "train", "--artifacts", "build/mine", "--pixels", "bright"),
  ]);
  expect([mse, depth, pixels].map(({ code }) => code)).toEqual([2, 2, 2]);
  expect(mse.stderr).toContain(
    'shake train trains classifiers of pictures by cross-entropy, and the loss of these artifacts is "mse".',
  );
  expect(depth.stderr).toContain("--depth is for shake's own networks, and build/mine holds a model");
  expect(pixels.stderr).toContain(
    "Pixels are fed raw, unit, imagenet or MEAN/STD such as 0.5/0.5, not bright.",
  );
});

test("pictures are fed as the metadata of the model say, unless --pixels says otherwise", async () => {
  const said = withMetadata(file, { "Image.NominalPixelRange": "Normalized_1_1" });
  const options = { loss: "cross-entropy", countCorrect: true } as const;
  await writeTrainingArtifacts(join(folder, "build/said"), generateArtifacts(said, options));
  const few = ["--train-limit", "32", "--test-limit", "8", "--epochs", "1", "--batch-size", "16"];
  const [own, other] = await Promise.all([
    shake(folder, "train", "--artifacts", "build/said", "--run-dir", "runs/own", ...few),
    shake(folder, "train", "--artifacts", "build/said", "--run-dir", "runs/unit", "--pixels", "unit", ...few),
  ]);
  expect(own.stderr).toContain("pictures 12 x 12 x 3 fed 0.5/0.5");
  expect(other.stderr).toContain("pictures 12 x 12 x 3 fed unit");
  expect(own.stderr + other.stderr).not.toContain("Warning");
});

test("a loss far above a guess in the first steps, or none, is one sentence that names --pixels", async () => {
  const options = { loss: "cross-entropy", learningRate: 0.02, countCorrect: true } as const;
  const flags = ["--train-limit", "96", "--test-limit", "8", "--epochs", "1", "--batch-size", "16"];
  await writeTrainingArtifacts(join(folder, "build/adam"), generateArtifacts(file, options));
  const steep = { ...options, optimizer: "sgd", learningRate: 1e30 } as const;
  await writeTrainingArtifacts(join(folder, "build/steep"), generateArtifacts(file, steep));
  const [raw, diverged] = await Promise.all([
    shake(folder, "train", "--artifacts", "build/adam", "--run-dir", "runs/raw", ...flags),
    shake(folder, "train", "--artifacts", "build/steep", "--run-dir", "runs/steep", ...flags),
  ]);
  const sentence =
    /The loss of step \d+ is \S+, and that of a guess among 10 classes is 2\.30: pictures are fed as raw, and the model may want other --pixels \(imagenet/g;
  expect(raw).toMatchObject({ code: 0 });
  expect(raw.stderr.match(sentence)).toHaveLength(1);
  expect(diverged).toMatchObject({ code: 2 });
  expect(diverged.stderr).toMatch(/The run diverged at step \d+.*pictures are fed as raw/);
});

describe.each([
  ["an optimizer model", {}],
  ["fused artifacts", { fused: true }],
  ["an epoch model", { chunk: true, target: "standard" }],
] as const)("--steps-per-call with %s", (kind, form) => {
  test("trains calls of 4 steps, cut and resumed with calls of 3, to the bytes of single steps", async () => {
    const name = kind.replaceAll(" ", "-");
    const options = { loss: "cross-entropy", optimizer: "sgd-nesterov", countCorrect: true } as const;
    await writeTrainingArtifacts(
      join(folder, "build", name),
      generateArtifacts(file, { ...options, ...form }),
    );
    const train = (run: string, ...more: string[]) =>
      shake(
        folder,
        ...["train", "--artifacts", `build/${name}`, "--threads", "1", ...flags],
        ...["--learning-rate", "0.02", "--run-dir", `${name}/${run}`, ...more],
      );
    const single = await train("single", "--steps-per-call", "1");
    const calls = await train("calls", "--steps-per-call", "4");
    const cut = await train("cut", "--steps-per-call", "4", "--max-time", "0.001");
    expect([single.code, calls.code, cut.code], single.stderr + calls.stderr + cut.stderr).toEqual([0, 0, 0]);
    expect(cut.stderr).toContain("The time of --max-time is over after step 4 of 12.");
    const resumed = await shake(folder, "train", "--resume", `${name}/cut`, "--steps-per-call", "3");
    expect(resumed.code, resumed.stderr).toBe(0);
    for (const result of ["model.onnx", "checkpoints/last"]) {
      const whole = read(`${name}/single/${result}`);
      expect(read(`${name}/calls/${result}`), result).toEqual(whole);
      expect(read(`${name}/cut/${result}`), result).toEqual(whole);
    }
    expect(read(`${name}/single/checkpoints/last`)).not.toEqual(read(`build/${name}/checkpoint`));
    const { test_accuracy: accuracy } = JSON.parse(lastLine(`${name}/calls/metrics.jsonl`));
    const evaluated = await shake(folder, "eval", "--run", `${name}/calls`, "--json");
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ accuracy, images: 40 });
  });
});
