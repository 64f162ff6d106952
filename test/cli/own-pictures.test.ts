import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { colourPictures, png, writeFiles } from "../support/picture-folder.ts";
import { shakeWith, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const elsewhere = join(folder, "elsewhere");
const run = join(folder, "run");
const shake = (where: string, ...args: string[]) =>
  shakeWith({ SHAKE_CACHE_DIR: join(folder, "cache") }, where, ...args);

let trained: Awaited<ReturnType<typeof shake>>;

beforeAll(async () => {
  mkdirSync(elsewhere);
  const photos = join(folder, "photos");
  writeFiles(photos, await colourPictures({ red: 30, blue: 30, green: 2 }));
  writeFiles(photos, { "red/broken.png": "no picture" });
  writeFiles(folder, { "more/green/1.png": await png("#00fe00"), "more/green/2.png": await png("#00fd00") });
  const flags = [
    "--width",
    "2",
    "--epochs",
    "2",
    "--image-size",
    "8",
    "--batch-size",
    "16",
    "--run-dir",
    "run",
  ];
  trained = await shake(folder, "train", "--data", "photos", ...flags);
});

test("a folder of pictures is trained on, with its counts, its rare class and its broken picture said", () => {
  const { code, stderr, stdout } = trained;
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/photos, 55 training and 7 validation images/);
  expect(stderr).toMatch(/class +train +validation\nblue +27 +3\ngreen +1 +1\nred +27 +3/);
  expect(stderr).toMatch(/The class green is rare: 1 training picture, and 18 on average/);
  expect(stderr).toMatch(/1 picture is broken and left out:\n {2}red\/broken\.png: its format is unknown/);
  expect(stdout).toMatch(/Validation accuracy/);
});

test("config.json has absolute paths and what the network took from the pictures", () => {
  const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
  expect(config).toMatchObject({
    data: join(folder, "photos"),
    imageSize: 8,
    pictures: { classNames: ["blue", "green", "red"], size: { channels: 3, height: 8, width: 8 } },
  });
  const [red, , blue] = config.pictures.mean;
  expect(red + blue).toBeGreaterThan(240);
});

test("the model says how it is fed, and nothing of this machine", () => {
  const text = readFileSync(join(run, "model.onnx")).toString("latin1");
  expect(text).toContain('["blue","green","red"]');
  expect(text).toContain("./photos");
  expect(text).not.toContain(folder);
});

describe("build-graph --data", () => {
  test("gives a ShakeNet the size, statistics and classes of pictures, which an export knows", async () => {
    const flags = ["--width", "2", "--image-size", "8", "--out", "made"];
    const { code, stdout, stderr } = await shake(folder, "build-graph", "--data", "photos", ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/classes +blue, green, red\npictures +3 x 8 x 8, mean \d/);
    const { settings } = JSON.parse(readFileSync(join(folder, "made/manifest.json"), "utf8"));
    const config = JSON.parse(readFileSync(join(run, "config.json"), "utf8"));
    expect(settings).toMatchObject({ classes: 3, imageSize: 8, mean: config.pictures.mean });
    await shake(folder, "export", "made/checkpoint", "--out", "made.onnx");
    const inspected = await shake(folder, "inspect", "made.onnx", "--json");
    expect(JSON.parse(inspected.stdout).metadata).toMatchObject({ class_names: '["blue","green","red"]' });
  });

  test.each([
    ["--image-size", "16", "--image-size 16 contradicts made, which has image-size 8: leave it out."],
    ["--channels", "grey", "--channels grey contradicts made, which has channels rgb: leave it out."],
    [
      "--pixels",
      "unit",
      "--pixels is for a model that came from a file; shake's own networks take raw pixels.",
    ],
    [
      "--mixup",
      "0.2",
      "--mixup mixes labels too, and the model in made takes the number of a class: leave --mixup or --artifacts out.",
    ],
  ])("makes artifacts that %s %s does not go with", async (flag, value, sentence) => {
    const given = ["--artifacts", "made", "--data", "photos", flag, value, "--run-dir", "refused"];
    const { code, stderr } = await shake(folder, "train", ...given);
    expect({ code, isMade: existsSync(join(folder, "refused")) }).toEqual({ code: 2, isMade: false });
    expect(stderr).toContain(`shake: ${sentence}\n`);
  });

  test("gives a model that came from a file a last layer for the classes, and their names", async () => {
    const flags = ["--data", "photos", "--out", "from"];
    const { code, stderr, stdout } = await shake(folder, "build-graph", "--from", "run/model.onnx", ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/train --artifacts from --data photos/);
    expect(readFileSync(join(folder, "from/source.onnx")).toString("latin1")).toContain(
      '["blue","green","red"]',
    );
  });
});

test("shake data counts classes, lists broken and equal pictures, and draws a contact sheet", async () => {
  const look = join(folder, "look");
  writeFiles(look, await colourPictures({ red: 12, blue: 12 }, "train/"));
  writeFiles(look, await colourPictures({ red: 2 }, "valid/"));
  writeFiles(look, { "valid/blue/new.png": await png("#0000f0", 0, 40), "train/red/broken.png": "" });
  const { stdout } = await shake(folder, "data", "look", "--out", "sheet.png", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    classes: [
      { class: "blue", train: 12, validation: 1, test: 0 },
      { class: "red", train: 12, validation: 2, test: 0 },
    ],
    sizes: ["smallest 12 x 12", "median 12 x 12", "largest 40 x 40"],
    broken: [{ picture: "train/red/broken.png", reason: "it is empty" }],
    duplicates: [
      { names: ["train/red/0.png", "valid/red/0.png"], splits: ["train", "val"], labels: ["red"] },
      { names: ["train/red/1.png", "valid/red/1.png"] },
    ],
  });
  const { width, height } = await sharp(join(folder, "sheet.png")).metadata();
  expect([width, height]).toEqual([12 * 68 + 4, 2 * 88 + 4]);
  // the last pixel of the first tile is blue, that below it red
  const pixels = await sharp(join(folder, "sheet.png")).removeAlpha().raw().toBuffer();
  const pixel = (x: number, y: number) => [...pixels.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
  expect([pixel(40, 60), pixel(40, 60 + 88)]).toEqual([
    [0, 0, 255],
    [255, 0, 0],
  ]);
});

test("a finished run goes on for more epochs, with a sentence about its learning rate", async () => {
  const { code, stderr } = await shake(folder, "train", "--resume", "run", "--epochs", "3");
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /from epoch 2 to 3\. Its schedule now counts 3 epochs instead of 2, so the learning rate is 0\.025 at this place, not 0\./,
  );
  expect(stderr).toMatch(/epoch 3\/3/);
  const fewer = await shake(folder, "train", "--resume", "run", "--epochs", "1");
  expect(fewer.stderr).toMatch(/--epochs 1 contradicts run, which has epochs 3/);
});

test("its config.json, with pictures and a resume in it, begins a new run of the same settings", async () => {
  const flags = ["--config", join(run, "config.json"), "--dry-run", "--json"];
  const { code, stdout, stderr } = await shake(elsewhere, "train", ...flags);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(JSON.parse(stdout)).toMatchObject({ train_images: 55, test_images: 7, epochs: 3 });
});

describe("from another folder", () => {
  test("eval finds the held-out pictures of a run", async () => {
    const { stdout } = await shake(elsewhere, "eval", "--run", run, "--json");
    expect(JSON.parse(stdout)).toMatchObject({ images: 7, data: "photos" });
  });

  test("eval of the model in the run's folder finds them too", async () => {
    const { stdout } = await shake(elsewhere, "eval", "--model", join(run, "model.onnx"), "--json");
    expect(JSON.parse(stdout)).toMatchObject({ images: 7, data: "photos" });
  });

  test("verify finds them too", async () => {
    const { code, stdout } = await shake(elsewhere, "verify", join(run, "model.onnx"), "--json");
    expect(JSON.parse(stdout)).toMatchObject({ images: 7, data: "photos" });
    expect(code).toBe(0);
  });

  test("predict knows the classes and the size", async () => {
    const picture = join(folder, "photos/red/3.png");
    const { stdout } = await shake(elsewhere, "predict", join(run, "model.onnx"), picture, "--json");
    expect(["blue", "green", "red"]).toContain(JSON.parse(stdout).predictions[0].class);
  });

  test("a model is measured on all pictures of a folder that it was not trained on, by its own classes", async () => {
    const model = join(run, "model.onnx");
    const { stdout } = await shake(
      elsewhere,
      "eval",
      "--model",
      model,
      "--data",
      join(folder, "more"),
      "--json",
    );
    expect(JSON.parse(stdout)).toMatchObject({ images: 2, per_class: [{ class: "green", images: 2 }] });
  });

  test("a model is measured on the held-out part of the folder that it was trained on", async () => {
    const model = join(run, "model.onnx");
    const { stdout } = await shake(
      elsewhere,
      "eval",
      "--model",
      model,
      "--data",
      join(folder, "photos"),
      "--json",
    );
    expect(JSON.parse(stdout)).toMatchObject({ images: 7 });
  });

  test("a folder that was moved is asked for, and taken with --data", async () => {
    renameSync(join(folder, "photos"), join(folder, "moved"));
    const lost = await shake(elsewhere, "eval", "--run", run);
    expect(lost.code).toBe(2);
    expect(lost.stderr).toMatch(
      /^shake: The pictures of \S+photos are not there: give their folder with --data\.\n$/,
    );
    const { stdout } = await shake(elsewhere, "eval", "--run", run, "--data", "../moved", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ images: 7 });
  });
});

test.each([
  [
    "a side that no ShakeNet takes",
    ["--data", ".", "--image-size", "30"],
    /multiple of 4, not 30; the nearest is 32/,
  ],
  [
    "a setting of pictures beside a known data set",
    ["--val-split", "0.2"],
    /--val-split is for pictures of one's own/,
  ],
  ["a folder that is not there", ["--data", "./nowhere"], /--data must be one of .* not \.\/nowhere/],
])("%s is refused in one sentence", async (_, flags, message) => {
  const { code, stderr } = await shake(folder, "train", ...flags);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});
