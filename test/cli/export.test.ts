import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { beforeAll, describe, expect, test } from "vitest";
import { foreignCheckpoint } from "../support/foreign-checkpoint.ts";
import { shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
let ofRun: { readonly loss: number; readonly accuracy: number };
const json = async (...args: string[]) => JSON.parse((await shake(folder, ...args, "--json")).stdout);

beforeAll(async () => {
  expect((await shake(folder, "train", ...tinyRunFlags, "--run-dir", "run")).code).toBe(0);
  ofRun = await json("eval", "--run", "run");
  writeFileSync(join(folder, "foreign"), foreignCheckpoint(join(folder, "run/checkpoints/last")));
}, 60_000);

/** Exports the run and returns what `--json` prints and what `inspect` sees in the file. */
async function exported(...flags: string[]) {
  const result = await json("export", "run", "--out", "model.onnx", ...flags);
  return { result, facts: await json("inspect", "model.onnx") };
}

const forms: readonly (readonly [flags: readonly string[], facts: Readonly<Record<string, unknown>>])[] = [
  [["--input", "uint8-nhwc"], { inputs: { images: "uint8[batch, 32, 32, 3]" }, opset: 17 }],
  [["--output", "probabilities"], { outputs: { probabilities: "float[batch, 10]" } }],
  [["--output", "probabilities", "--opset", "11"], { opset: 11, ir_version: 6 }],
  [["--opset", "21"], { opset: 21, ir_version: 10 }],
  [["--batch", "16"], { inputs: { images: "float[16, 3, 32, 32]" }, outputs: { logits: "float[16, 10]" } }],
  [["--input", "uint8-nhwc", "--batch", "7"], { inputs: { images: "uint8[7, 32, 32, 3]" } }],
  [["--alpha-input"], { inputs: { images: "float[batch, 3, 32, 32]", alpha: "float[3]" } }],
  [["--precision", "float16"], { inputs: { images: "float[batch, 3, 32, 32]" } }],
  [["--precision", "int8"], { operators: { QuantizeLinear: 14 } }],
  [
    ["--input", "uint8-nhwc", "--batch", "3", "--precision", "int8", "--alpha-input", "--opset", "13"],
    { opset: 13 },
  ],
];

describe("an export", () => {
  test.each(forms)(
    "with %j says so, opens in ONNX Runtime and is judged as the run was",
    async (flags, expected) => {
      const { result, facts } = await exported(...flags);
      expect(facts).toMatchObject(expected);
      expect(facts.metadata).toMatchObject({ export_command: `shake export ${flags.join(" ")}` });
      expect(result.bytes).toBe(readFileSync(join(folder, "model.onnx")).length);
      const found = await json("eval", "--model", "model.onnx", "--test-limit", "40");
      const tolerance = flags.includes("int8") ? 0.1 : flags.includes("float16") ? 1e-3 : 1e-5;
      expect(Math.abs(found.loss - ofRun.loss)).toBeLessThan(tolerance);
      expect(found.images).toBe(40);
      if (!flags.includes("int8")) expect(found.accuracy).toBe(ofRun.accuracy);
    },
  );

  test("says what it is, where it comes from and how it was made", async () => {
    const { metadata, description } = (await exported()).facts;
    expect(description).toBe("ShakeNet 8 2x2d: raw pixels 0..255 to logits, alpha = 0.5");
    expect(metadata).toMatchObject({
      "Image.BitmapPixelFormat": "Rgb8",
      "Image.ColorSpaceGamma": "SRGB",
      "Image.NominalPixelRange": "NominalRange_0_255",
      network: "ShakeNet 8 2x2d",
      data: "shapes",
      data_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      seed: "1",
      steps: "12",
      test_accuracy: expect.stringMatching(/^\d+\.\d\d$/),
      precision: "float32",
      command:
        "shake train --width 2 --data shapes --train-limit 96 --test-limit 40 --epochs 2 --batch-size 16",
    });
    expect(JSON.parse(metadata.class_names)).toContain("circle");
    expect(JSON.parse(metadata.settings)).toMatchObject({ depth: 8, width: 2, backward: "shake" });
  });

  test("in halves has two bytes less a parameter, and in 8 bits counts the same parameters", async () => {
    const [float32, float16, int8] = [
      await exported(),
      await exported("--precision", "float16"),
      await exported("--precision", "int8"),
    ];
    expect(float32.result.bytes - float16.result.bytes).toBeGreaterThan(1.9 * float32.facts.parameters);
    expect(float16.facts.parameters).toBe(float32.facts.parameters);
    expect(int8.facts.parameters).toBe(float32.facts.parameters);
    expect(float32.facts.operators).not.toHaveProperty("BatchNormalization");
  });

  test("in 8 bits tells what it loses, in the file too", async () => {
    const { result, facts } = await exported("--precision", "int8", "--calibration-images", "48");
    expect(result).toMatchObject({ test_images: 40 });
    const { float32_accuracy: before, int8_accuracy: after } = result;
    const loss = `${(before - after).toFixed(2)} points: ${before.toFixed(2)} % to ${after.toFixed(2)} % on 40 test images`;
    expect(facts.metadata).toMatchObject({ accuracy_loss: loss, calibration: "range of 48 training images" });
    const { stdout } = await shake(folder, "export", "run", "--out", "model.onnx", "--precision", "int8");
    expect(stdout).toMatch(/^accuracy loss -?\d+\.\d\d points: /m);
    const checkpoint = [
      "export",
      "run/checkpoints/last",
      "--out",
      "bare.onnx",
      "--precision",
      "int8",
      "--test-limit",
      "30",
    ];
    expect(await json(...checkpoint, "--data", "shapes")).toMatchObject({ test_images: 30 });
  });

  test("of a checkpoint in a run is that of the run", async () => {
    await exported();
    await shake(folder, "export", "run/checkpoints/last", "--out", "last.onnx");
    expect(readFileSync(join(folder, "last.onnx"))).toEqual(readFileSync(join(folder, "model.onnx")));
  });

  test("of a checkpoint outside of its run knows its data set by how pixels are normalised", async () => {
    copyFileSync(join(folder, "run/checkpoints/last"), join(folder, "loose"));
    await shake(folder, "export", "loose", "--out", "loose.onnx");
    const { metadata } = await json("inspect", "loose.onnx");
    expect(metadata).toMatchObject({ data: "shapes", network: "ShakeNet 8 2x2d", steps: "12" });
    expect(metadata.class_names).toContain("hourglass");
  });

  test("of a checkpoint of other pixels takes the data set it is told", async () => {
    await shake(folder, "export", "foreign", "--out", "named.onnx", "--data", "cifar10");
    const { metadata } = await json("inspect", "named.onnx");
    expect(metadata.data).toBe("cifar10");
    expect(metadata.class_names).toContain("airplane");
    await shake(folder, "export", "foreign", "--out", "nameless.onnx");
    expect((await json("inspect", "nameless.onnx")).metadata).not.toHaveProperty("class_names");
  });

  test("with alpha as an input answers to it", async () => {
    await exported("--alpha-input");
    const session = await ort.InferenceSession.create(join(folder, "model.onnx"), { logSeverityLevel: 3 });
    const images = new ort.Tensor("float32", new Float32Array(3072).fill(99), [1, 3, 32, 32]);
    const logits = async (...alpha: number[]) =>
      Array.from(
        (await session.run({ images, alpha: new ort.Tensor("float32", alpha, [3]) }))["logits"]
          ?.data as Float32Array,
      );
    expect(await logits(0.5, 0.5, 0.5)).not.toEqual(await logits(1, 0, 1));
    await session.release();
  });
});

const mistakes: readonly (readonly [what: string, flags: readonly string[], sentence: RegExp])[] = [
  [
    "an input that is none",
    ["run", "--input", "uint8"],
    /^--input must be one of float32-nchw, uint8-nhwc, not uint8\./,
  ],
  [
    "an output that is none",
    ["run", "--output", "logit"],
    /^--output must be one of .* Did you mean logits\?$/,
  ],
  [
    "an opset that is too old",
    ["run", "--opset", "10"],
    /^--opset must be a whole number from 11 to 21, not 10\.$/,
  ],
  [
    "a batch of none",
    ["run", "--batch", "0"],
    /^--batch must be dynamic or a whole number from 1 to 65536, not 0\.$/,
  ],
  [
    "a batch in words",
    ["run", "--batch", "many"],
    /^--batch must be dynamic or a whole number from 1 to 65536, not many\.$/,
  ],
  [
    "a precision that is none",
    ["run", "--precision", "int4"],
    /^--precision must be one of .* Did you mean int8\?$/,
  ],
  [
    "8 bits in an old opset",
    ["run", "--precision", "int8", "--opset", "12"],
    /^--precision int8 needs --opset 13 or newer, not 12: /,
  ],
  [
    "images for a calibration that is not made",
    ["run", "--calibration-images", "48"],
    /^--calibration-images is for --precision int8, not for float32\.$/,
  ],
  [
    "an end of a model that is not written",
    ["run", "--adapters", "--end-at", "logits"],
    /^--adapters writes weights and no model, so --end-at does not go with it\.$/,
  ],
  [
    "8 bits of a checkpoint without its data",
    ["foreign", "--precision", "int8"],
    /^int8 is calibrated on training images, .* give --data\.$/,
  ],
  [
    "other data than the run's",
    ["run", "--data", "cifar10"],
    /^--data cifar10 contradicts run, which was trained on shapes: leave it out\.$/,
  ],
  [
    "other data than the checkpoint's",
    ["run/checkpoints/best", "--data", "cifar10"],
    /^--data cifar10 contradicts run\/checkpoints\/best, which was trained on shapes: leave it out\.$/,
  ],
  ["a folder that is no run", [".", "--opset", "17"], /is not the folder of a run/],
  ["a source that is not there", ["nowhere"], /^nowhere does not exist\.$/],
];

test.each(mistakes)("%s is one sentence, and nothing is written", async (_, flags, sentence) => {
  const before = readdirSync(folder).sort();
  const { code, stdout, stderr } = await shake(folder, "export", ...flags, "--out", "never.onnx");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^shake: [^\n]+\n$/);
  expect(stderr.slice("shake: ".length, -1)).toMatch(sentence);
  expect(readdirSync(folder).sort()).toEqual(before);
  expect(existsSync(join(folder, "never.onnx"))).toBe(false);
});
