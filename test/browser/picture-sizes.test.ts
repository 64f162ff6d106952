import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { encodeModel, withMetadata } from "../../graph-builder/index.ts";
import { pixelsOf } from "../../runtime/data/types.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import type { PictureFeeding } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts, defaultExport, frozenModel, openClassifier } from "../../shakenet/index.ts";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { packagedModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { expectPercents } from "../support/demo-site.ts";
import { pictureModel } from "../support/picture-models.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const site = join(folder, "site");
const file = (name: string) => join(folder, name);
const opened: { close(): Promise<void> }[] = [];
let browser: Browser;

beforeAll(async () => {
  [browser] = await Promise.all([openBrowser(), buildSite(site, await packagedModel())]);
}, 120_000);

afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
});

afterAll(() => browser?.close());

async function open(hash = ""): Promise<{ page: Page; errors: string[] }> {
  const server = await serveSite(site, { port: 0 });
  const { page, errors } = await openPage(browser, `${server.origin}/${hash}`);
  opened.push(page, server);
  await expect.poll(() => page.textContent("#timing")).not.toBe("");
  return { page, errors };
}

const facts = (page: Page) => page.innerText("#model-facts");
const sentence = (page: Page) => page.innerText("#error p");
const openModel = (page: Page, name: string) => page.setInputFiles("#model-file", file(name));

/** Waves of colours as a PNG, and its pixels uint8 [channels, side, side]. */
async function picture(side: number, channels = 3): Promise<{ path: string; pixels: Uint8Array }> {
  const colour = (i: number) => {
    const [x, y, channel] = [(i / 3) % side, i / 3 / side, i % 3];
    return 128 + 100 * Math.sin((x * (channel + 1) + y * 2) / (side / 9));
  };
  const rgb = Uint8Array.from({ length: 3 * side * side }, (_, i) => colour(i));
  const path = file(`waves-${side}.png`);
  const raw = { width: side, height: side, channels: 3 } as const;
  await writeFile(path, await sharp(rgb, { raw }).png().toBuffer());
  const area = side * side;
  const at = (i: number, channel: number) => rgb[3 * i + channel] ?? 0;
  const grey = (i: number) => Math.round(0.299 * at(i, 0) + 0.587 * at(i, 1) + 0.114 * at(i, 2));
  const value = (i: number) => (channels === 1 ? grey(i) : at(i % area, Math.floor(i / area)));
  return { path, pixels: Uint8Array.from({ length: channels * area }, (_, i) => value(i)) };
}

/** The probabilities of a picture in percent, as ONNX Runtime in Node computes them. */
async function percents(name: string, pixels: Uint8Array, feeding: PictureFeeding = {}): Promise<number[]> {
  const classifier = await openClassifier(await readFile(file(name)), await openDevice("cpu"), name, feeding);
  expect(pixels).toHaveLength(pixelsOf(classifier.imageSize));
  const logits = fromOrtTensor(await classifier.logits(pixels)).numbers();
  await classifier.release();
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => (100 * power) / sum);
}

const training = {
  target: "ort-training",
  optimizer: "sgd-nesterov",
  momentum: 0.9,
  weightDecay: 0,
} as const;

/** A ShakeNet of 64 x 64 pixels: its checkpoint, and what is frozen from it. */
async function writeNetwork(): Promise<void> {
  const { checkpoint } = buildTrainingArtifacts(
    {
      depth: 8,
      width: 4,
      classes: 3,
      imageSize: 64,
      mean: [100, 110, 120],
      std: [50, 55, 60],
      seed: 2,
      ...training,
    },
    { pictures: { classNames: ["cat", "dog", "owl"], background: [200, 30, 30] } },
  );
  const decoded = decodeCheckpoint(checkpoint);
  await writeFile(file("checkpoint"), checkpoint);
  await writeFile(join(site, "net64.onnx"), frozenModel(decoded, "a test"));
  await writeFile(file("net64.onnx"), frozenModel(decoded, "a test"));
  const form = { ...defaultExport, alphaInput: true, input: "uint8-nhwc", output: "probabilities" } as const;
  await writeFile(file("alpha.onnx"), frozenModel(decoded, "a test", {}, form));
}

test("a checkpoint of a network of 64 x 64 pixels is fed pictures of that size, in the tab Shake too", async () => {
  await writeNetwork();
  const { page, errors } = await open();
  const { path, pixels } = await picture(64);
  await page.setInputFiles("#picture-file", path);
  await openModel(page, "checkpoint");
  await expect.poll(() => facts(page)).toContain("64 x 64, colours");
  const expected = await percents("net64.onnx", pixels);
  await expectPercents(page, expected);
  expect(await page.locator("#bars li:visible .name").allInnerTexts()).toEqual(["cat", "dog", "owl"]);
  expect(await page.locator("#picture").evaluate((canvas: HTMLCanvasElement) => canvas.width)).toBe(64);
  expect(await page.isVisible("#examples-card")).toBe(false);

  await page.click("#tab-shake");
  await expect.poll(() => page.innerText("#shake-answer")).toMatch(/^Recognised as (cat|dog|owl) /);
  await expectPercents(page, expected, "shake-bars");
  expect(await page.locator("#shake-examples li").count()).toBe(0);
  await page.click("#draw-beta");
  await expect
    .poll(() => page.innerText("#beta-text"))
    .toBe("The gradients need labelled pictures, and the page has none of the classes of checkpoint.");
  await page.click("#draw-step");
  await expect.poll(() => page.innerText("#step-text")).toMatch(/^A step needs labelled pictures/);
  await openModel(page, "alpha.onnx");
  await page.click("#tab-classify");
  await expect.poll(() => facts(page)).toContain("alpha.onnx");
  await page.click("#tab-shake");
  await expectPercents(page, expected, "shake-bars");

  // transparent pixels get the colour that the network was trained with
  const clear = { width: 64, height: 64, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } as const;
  await writeFile(file("clear.png"), await sharp({ create: clear }).png().toBuffer());
  await page.setInputFiles("#picture-file", file("clear.png"));
  const red = Uint8Array.from(pixels, (_, i) => [200, 30, 30][Math.floor(i / 64 ** 2)] ?? 0);
  await expectPercents(page, await percents("net64.onnx", red));
  expect(errors).toEqual([]);
});

test("a link opens a model of another size, and the page goes back to pictures of 32 x 32", async () => {
  await writeNetwork();
  const { path, pixels } = await picture(64);
  const server = await serveSite(site, { port: 0 });
  const { page, errors } = await openPage(browser, `${server.origin}/#classify?model=net64.onnx`);
  opened.push(page, server);
  await expect.poll(() => facts(page)).toContain("64 x 64, colours");
  await page.setInputFiles("#picture-file", path);
  await expectPercents(page, await percents("net64.onnx", pixels));
  const small = await picture(32);
  await page.setInputFiles("#picture-file", small.path);
  await writeFile(file("cifar10.onnx"), await readFile("models/cifar10.onnx"));
  await openModel(page, "cifar10.onnx");
  await expect.poll(() => facts(page)).toContain("32 x 32, colours");
  await expectPercents(page, await percents("cifar10.onnx", small.pixels));
  await expect.poll(() => page.locator("#examples li").count()).toBeGreaterThan(0);
  expect(errors).toEqual([]);
});

test("another program's grey 28 x 28 classifier is fed as its metadata say", async () => {
  const class_names = JSON.stringify("abcdefghij".split(""));
  const model = encodeModel(pictureModel({ side: 28, channels: 1, batch: 1 }));
  await writeFile(file("grey.onnx"), withMetadata(model, { pixels: "0.1307/0.3081", class_names }));
  const { page, errors } = await open();
  await openModel(page, "grey.onnx");
  await expect.poll(() => facts(page)).toContain("28 x 28, grey, pixels 0.1307/0.3081");
  expect(await page.isVisible("#feeding")).toBe(false);
  const { path, pixels } = await picture(28, 1);
  await page.setInputFiles("#picture-file", path);
  await expectPercents(page, await percents("grey.onnx", pixels));
  expect(await page.locator("#bars .name").allInnerTexts()).toEqual([..."abcdefghij"]);
  await page.click("#tab-shake");
  expect(await page.innerText("#shake-missing")).toBe(
    "grey.onnx is no Shake-Shake network, so it has no branches to mix.",
  );
  expect(errors).toEqual([]);
});

test("for a classifier that does not say how it is fed, the user chooses the pixels and the size", async () => {
  await writeFile(file("large.onnx"), encodeModel(pictureModel({ side: 224, batch: 1 })));
  await writeFile(file("free.onnx"), encodeModel(pictureModel({ side: "side" })));
  await writeFile(file("five.onnx"), encodeModel(pictureModel({ channels: 5 })));
  await writeFile(file("gray.onnx"), encodeModel(pictureModel({ side: 28, channels: 1 })));
  const { page, errors } = await open();
  const { path, pixels } = await picture(224);
  await page.setInputFiles("#picture-file", path);
  await openModel(page, "large.onnx");
  await expect.poll(() => facts(page)).toContain("224 x 224, colours");
  await expectPercents(page, await percents("large.onnx", pixels));
  await page.selectOption("#feeding [name=pixels]", "imagenet");
  await expect.poll(() => facts(page)).toContain("224 x 224, colours, pixels imagenet");
  await expectPercents(page, await percents("large.onnx", pixels, { pixels: "imagenet" }));
  expect(await page.isVisible("#feeding [name=size]")).toBe(false);

  await openModel(page, "free.onnx");
  await expect.poll(() => facts(page)).toContain("free.onnx");
  expect(await page.inputValue("#feeding [name=size]")).toBe("224");
  const small = await picture(40);
  await page.setInputFiles("#picture-file", small.path);
  await page.fill("#feeding [name=size]", "40");
  await page.press("#feeding [name=size]", "Tab");
  await expect.poll(() => facts(page)).toContain("40 x 40, colours");
  const size = { height: 40, width: 40 };
  await expectPercents(page, await percents("free.onnx", small.pixels, { size }));

  await openModel(page, "five.onnx");
  await expect
    .poll(() => sentence(page))
    .toBe("five.onnx takes pictures of 5 channels, and a picture of this page has 1, 3 or 4.");
  await openModel(page, "gray.onnx");
  await expect.poll(() => facts(page)).toContain("28 x 28, grey");
  await page.selectOption("#feeding [name=pixels]", "imagenet");
  await expect
    .poll(() => sentence(page))
    .toBe("Pixels fed imagenet have numbers for 3 channels, and the model takes 1.");
  expect(await page.inputValue("#feeding [name=pixels]")).toBe("raw");
  expect(errors).toEqual([]);
});
