import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { datasets } from "../../runtime/data/dataset.ts";
import { loadDataset, openDevice } from "../../runtime/node/index.ts";
import { inferenceModel, openClassifier } from "../../shakenet/index.ts";
import { randomCheckpoint } from "../support/frozen.ts";
import { shake, temporaryFolder } from "../support/shake.ts";
import { tinySettings } from "../support/tiny-run.ts";

const folder = temporaryFolder();
const settings = tinySettings({ width: 4 });
const checkpoint = randomCheckpoint(settings);
const { classNames } = datasets.shapes;
const named = { metadataProps: { class_names: JSON.stringify(classNames) } };

/** A picture of the test set, [3, 32, 32]. */
let planes: Uint8Array;
let expected: { class: string; probability: number }[];

function pictureOf(pixels: Uint8Array): ReturnType<typeof sharp> {
  const together = Uint8Array.from(pixels, (_, i) => pixels[(i % 3) * 1024 + Math.floor(i / 3)] ?? 0);
  return sharp(together, { raw: { width: 32, height: 32, channels: 3 } });
}

beforeAll(async () => {
  const { images } = await loadDataset("shapes", { split: "test", limit: 1 });
  planes = images;
  mkdirSync(join(folder, "pictures"));
  const png = pictureOf(planes).png();
  await png.toFile(join(folder, "pictures/small.png"));
  // twice as large, with stripes left and right that the crop must drop
  await sharp(await png.toBuffer())
    .resize(64, 64, { kernel: "nearest" })
    .extend({ left: 40, right: 40, background: "magenta" })
    .png()
    .toFile(join(folder, "pictures/wide.png"));
  await pictureOf(planes)
    .resize(320, 320, { kernel: "nearest" })
    .jpeg({ quality: 95 })
    .toFile(join(folder, "pictures/large.jpg"));
  await pictureOf(planes).ensureAlpha().png().toFile(join(folder, "pictures/alpha.png"));
  await pictureOf(planes).greyscale().png().toFile(join(folder, "pictures/grey.png"));
  const bytes = inferenceModel(settings, checkpoint, named);
  writeFileSync(join(folder, "model.onnx"), bytes);
  const classifier = await openClassifier(bytes, await openDevice("cpu", { threads: 1 }), "model.onnx");
  const logits = Array.from((await classifier.logits(planes)).data as Float32Array);
  await classifier.release();
  const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
  expected = logits
    .map((logit, i) => ({ class: classNames[i] ?? "", probability: Math.exp(logit) / sum }))
    .sort((a, b) => b.probability - a.probability);
});

async function predictions(...args: string[]) {
  const { code, stdout, stderr } = await shake(folder, "predict", ...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout).predictions as {
    picture: string;
    class: string;
    probability: number;
    runners_up: unknown[];
  }[];
}

test("pictures of 32 x 32 are fed as they are", async () => {
  const [small, alpha] = await predictions("model.onnx", "pictures/small.png", "pictures/alpha.png");
  expect(small?.picture).toBe("pictures/small.png");
  expect(small?.class).toBe(expected[0]?.class);
  expect(small?.probability).toBeCloseTo(expected[0]?.probability ?? 0, 5);
  expect(small?.runners_up).toMatchObject(expected.slice(1, 4).map(({ class: name }) => ({ class: name })));
  expect(alpha?.probability).toBeCloseTo(expected[0]?.probability ?? 0, 5);
});

test("larger pictures, PNG and JPEG, are cut to their centre and scaled", async () => {
  const found = await predictions("model.onnx", "pictures/wide.png", "pictures/large.jpg");
  for (const { probability, class: name, picture } of found) {
    expect(name, picture).toBe(expected[0]?.class);
    expect(Math.abs(probability - (expected[0]?.probability ?? 0)), picture).toBeLessThan(0.1);
  }
});

test("a grey picture has three equal colours", async () => {
  const grey = await pictureOf(planes).greyscale().raw().toBuffer({ resolveWithObject: true });
  const { channels } = grey.info;
  const one = Uint8Array.from({ length: 1024 }, (_, i) => grey.data[i * channels] ?? 0);
  await pictureOf(Uint8Array.from([...one, ...one, ...one]))
    .png()
    .toFile(join(folder, "pictures/three.png"));
  const [found, three] = await predictions("model.onnx", "pictures/grey.png", "pictures/three.png");
  expect(found?.probability).toBeCloseTo(three?.probability ?? 0, 5);
});

test.each([
  { input: "uint8-nhwc", output: "probabilities" },
  { batch: 4, alphaInput: true },
] as const)("a model of the form %o says the same", async (form) => {
  writeFileSync(join(folder, "form.onnx"), inferenceModel(settings, checkpoint, named, form));
  const [found] = await predictions("form.onnx", "pictures/small.png");
  expect(found?.class).toBe(expected[0]?.class);
  expect(found?.probability).toBeCloseTo(expected[0]?.probability ?? 0, 4);
});

test("a table has a line a picture", async () => {
  const { stdout } = await shake(folder, "predict", "model.onnx", "pictures/small.png", "pictures/large.jpg");
  const [header, first, second, ...rest] = stdout.split("\n");
  expect(header).toMatch(/^picture +class +probability +runners-up$/);
  expect(first).toMatch(
    new RegExp(`^pictures/small\\.png +${expected[0]?.class} +\\d+\\.\\d\\d % +\\w+ \\d+\\.\\d\\d %, \\w+`),
  );
  expect(second).toMatch(/^pictures\/large\.jpg /);
  expect(rest).toEqual([""]);
});

test("a model without names counts its classes", async () => {
  writeFileSync(join(folder, "nameless.onnx"), inferenceModel(settings, checkpoint));
  const [found] = await predictions("nameless.onnx", "pictures/small.png");
  expect(found?.class).toBe(`class ${classNames.indexOf(expected[0]?.class ?? "")}`);
});

test("without a model, the package's own network tells the classes of CIFAR-10 apart", async () => {
  const [found] = await predictions("pictures/small.png");
  expect(datasets.cifar10.classNames).toContain(found?.class);
});

const mistakes: readonly (readonly [what: string, args: readonly string[], sentence: RegExp])[] = [
  ["nothing", [], /^shake predict needs pictures: see node \S+main\.js predict --help\.$/],
  ["no picture", ["model.onnx"], /^shake predict needs pictures: see node \S+main\.js predict --help\.$/],
  [
    "a model that is not there",
    ["mode.onnx", "pictures/small.png"],
    /^mode\.onnx does not exist\. Did you mean model\.onnx\?$/,
  ],
  [
    "a picture that is not there",
    ["model.onnx", "pictures/smal.png"],
    /does not exist\. Did you mean small\.png\?$/,
  ],
  [
    "a picture that is none",
    ["model.onnx", "model.onnx"],
    /^model\.onnx is not a picture that can be read: /,
  ],
  [
    "a model that is none",
    ["--model", "pictures/small.png", "pictures/small.png"],
    /^pictures\/small\.png is not an ONNX model/,
  ],
];

test.each(mistakes)("%s is one sentence", async (_, args, sentence) => {
  const { code, stdout, stderr } = await shake(folder, "predict", ...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^shake: [^\n]+\n$/);
  expect(stderr.slice("shake: ".length, -1)).toMatch(sentence);
});

test("without sharp it says how to get it", () => {
  const hooks = `export function resolve(name, context, next) {
    if (name === "sharp") throw Object.assign(new Error("absent"), { code: "ERR_MODULE_NOT_FOUND" });
    return next(name, context);
  }`;
  const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(url(hooks))});`;
  const entry = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const args = ["--import", url(register), entry, "predict", "model.onnx", "pictures/small.png"];
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  expect(stderr).toBe("shake: Pictures are read by sharp, which is not installed: npm install sharp.\n");
  expect(status).toBe(2);
});

test("a picture whose name begins like a flag is given after --", async () => {
  await pictureOf(planes).png().toFile(join(folder, "--x.png"));
  const { code, stdout, stderr } = await shake(folder, "predict", "--json", "--", "--x.png");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout).predictions).toHaveLength(1);
});
