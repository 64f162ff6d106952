import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
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
  mkdirSync(join(folder, "empty"));
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

/** A PNG whose header says that it is 20,000 x 20,000. */
function hugePng(): Buffer {
  const header = Buffer.from("IHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0", "latin1");
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(header));
  const data = Buffer.from("\0\0\0\0IDAT\x35\xaf\x06\x1e", "latin1");
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\r", "latin1"), header, check, data]);
}

describe("pictures in a folder", () => {
  beforeAll(() => {
    mkdirSync(join(folder, "many/deep"), { recursive: true });
    copyFileSync(join(folder, "pictures/small.png"), join(folder, "many/deep/b, c.png"));
    copyFileSync(join(folder, "pictures/large.jpg"), join(folder, "many/a.jpg"));
    writeFileSync(join(folder, "many/notes.txt"), "no picture");
    const square = '<rect width="64" height="64" fill="red"/>';
    writeFileSync(
      join(folder, "many/drawn.svg"),
      `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">${square}</svg>`,
    );
    writeFileSync(join(folder, "many/no.svg"), `<?xml version="1.0"?>\n<svg width="-3">${square}`);
    writeFileSync(join(folder, "many/phone.heic"), "\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    writeFileSync(join(folder, "many/huge.png"), hugePng());
  });

  test("are classified, also in deeper folders, and those that cannot be read are named in a sentence each", async () => {
    const { code, stdout, stderr } = await shake(folder, "predict", "model.onnx", "many", "--json");
    expect(code).toBe(0);
    const { predictions: found } = JSON.parse(stdout) as {
      predictions: { picture: string; class: string }[];
    };
    expect(found.map(({ picture }) => picture)).toEqual([
      "many/a.jpg",
      "many/drawn.svg",
      "many/deep/b, c.png",
    ]);
    expect(found.at(-1)?.class).toBe(expected[0]?.class);
    expect(stderr.trim().split("\n").sort()).toEqual([
      "many/huge.png is not a picture that can be read: it has more pixels than can be decoded.",
      expect.stringMatching(/^many\/no\.svg is not a picture that can be read: .*\.$/),
      "many/phone.heic is not a picture that can be read: HEIC is not read here, save it as PNG or JPEG.",
    ]);
  });

  test("are written to a CSV file", async () => {
    const { code, stdout } = await shake(folder, "predict", "model.onnx", "many", "--out", "found.csv");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "3 predictions: found.csv\n" });
    const [head, ...rows] = readFileSync(join(folder, "found.csv"), "utf8").trim().split("\r\n");
    expect(head).toBe("picture,class,probability,second,second_probability");
    expect(rows).toHaveLength(3);
    expect(rows[2]).toMatch(new RegExp(`^"many/deep/b, c\\.png",${expected[0]?.class},0\\.\\d+,`));
  });
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
  ["a folder without pictures", ["model.onnx", "empty"], /^empty has no pictures in it\.$/],
  [
    "predictions in place of the model",
    ["model.onnx", "pictures/small.png", "--out", "model.onnx"],
    /^--out model\.onnx would replace what it is made from/,
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
