import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { generateArtifacts } from "../../artifacts/index.ts";
import { feedingOf } from "../../cli/models/classifier.ts";
import { encodeModel } from "../../graph-builder/index.ts";
import { mnistFiles } from "../support/idx-files.ts";
import { writeFiles } from "../support/picture-folder.ts";
import { pictureModel } from "../support/picture-models.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const inputs = [
  ["one channel of 28 x 28", "grey.onnx", { channels: 1, side: 28 }],
  ["one channel, which is last", "last.onnx", { channels: 1, side: 28, layout: "nhwc" }],
  ["colours of 16 x 16", "small.onnx", { side: 16 }],
  ["colours of 28 x 28", "middle.onnx", { side: 28 }],
] as const;

beforeAll(async () => {
  for (const [, name, shape] of inputs) writeFileSync(join(folder, name), encodeModel(pictureModel(shape)));
  const picture = sharp({ create: { width: 40, height: 30, channels: 3, background: "#ff8000" } });
  await picture.png().toFile(join(folder, "colour.png"));
  await picture.greyscale().png().toFile(join(folder, "grey.png"));
  writeFiles(join(folder, "digits"), mnistFiles(64, 20));
  const flags = ["--width", "2", "--epochs", "1", "--batch-size", "16", "--threads", "1"];
  const data = ["--data", "mnist", "--data-dir", "digits"];
  const { code, stderr } = await shake(folder, "train", ...data, ...flags, "--run-dir", "run");
  expect({ code, stderr }).toMatchObject({ code: 0 });
});

describe("a model of", () => {
  test.each(inputs)("%s classifies a colour picture", async (_, model) => {
    const { code, stdout, stderr } = await shake(folder, "predict", model, "colour.png", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout).predictions[0].class).toMatch(/^class \d$/);
  });

  test.each(inputs)("%s is measured on pictures of 32 x 32 in colours", async (_, model) => {
    const flags = ["--model", model, "--data", "shapes", "--test-limit", "20", "--json"];
    const { code, stdout, stderr } = await shake(folder, "eval", ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ images: 20 });
  });
});

test("a model of channels that no picture has is refused in one sentence", async () => {
  writeFileSync(join(folder, "five.onnx"), encodeModel(pictureModel({ channels: 5 })));
  const { code, stdout, stderr } = await shake(folder, "predict", "five.onnx", "colour.png");
  const sentence = "The model takes 5 channels, and pictures have 1 (grey), 3 (colours) or 4 (with alpha).";
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: `shake: ${sentence}\n` });
});

test("a loss that is a sum over a batch is not trained, as its mean would be told", () => {
  const artifactsOf = (reduction: "mean" | "sum") =>
    generateArtifacts(pictureModel(), { loss: { type: "cross-entropy", reduction }, countCorrect: true });
  const [mean, sum] = [artifactsOf("mean"), artifactsOf("sum")];
  expect(feedingOf(mean, mean.manifest.loss, {})).toMatchObject({ classes: 10 });
  expect(() => feedingOf(sum, sum.manifest.loss, {})).toThrow(
    "and the loss of these artifacts is a sum over a batch: make them with --reduction mean.",
  );
});

test("a model of one channel says the same of a picture and of its grey", async () => {
  const { stdout } = await shake(folder, "predict", "grey.onnx", "colour.png", "grey.png", "--json");
  const [colour, grey] = JSON.parse(stdout).predictions;
  expect(colour.class).toBe(grey.class);
  expect(colour.probability).toBeCloseTo(grey.probability, 2);
});

describe("a ShakeNet of one channel", () => {
  test("is trained on MNIST without mirrored digits", async () => {
    const { stdout } = await shake(folder, "inspect", "run", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ config: { data: "mnist", flip: "none", classes: 10 } });
  });

  test("is measured and verified on its data, and classifies pictures in colours", async () => {
    const measured = await shake(folder, "eval", "--run", "run", "--json");
    expect(JSON.parse(measured.stdout)).toMatchObject({ images: 20, data: "mnist" });
    const verified = await shake(folder, "verify", "run/model.onnx", "--json");
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ images: 20 });
    const { stdout } = await shake(folder, "predict", "run", "colour.png", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ model: "run/model.onnx" });
    expect(JSON.parse(stdout).predictions[0].class).toMatch(/^\d$/);
  });

  test("is verified on colours of another size where they are asked for", async () => {
    const flags = ["--data", "shapes", "--test-limit", "20", "--json"];
    const { code, stdout } = await shake(folder, "verify", "run/model.onnx", ...flags);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: 20, data: "shapes" });
  });
});
