import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { at, decodeModel } from "../../graph-builder/index.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { classNamesIn, openClassifier } from "../../shakenet/index.ts";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { packagedModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { ownClasses, ownPhoto, pixelsOfPng } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const site = join(folder, "site");
const opened: { close(): Promise<void> }[] = [];
let browser: Browser;

beforeAll(async () => {
  [browser] = await Promise.all([openBrowser(), buildSite(site, await packagedModel())]);
  for (const name of ownClasses)
    for (let i = 0; i < 13; i++)
      // the last three are never given to the page
      writeFiles(folder, { [`${i < 10 ? "photos" : "new"}/${name}/${i}.png`]: await ownPhoto(name, i) });
}, 120_000);

afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
});

afterAll(() => browser?.close());

/** Opens the tab, at first with the camera of a white wall that a button of the test makes black. */
async function openTab(): Promise<{ page: Page; errors: string[] }> {
  const server = await serveSite(site, { port: 0 });
  const { page, errors } = await openPage(browser, "about:blank");
  opened.push(page, server);
  await page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 64;
      const context = canvas.getContext("2d");
      const draw = () => {
        if (context) context.fillStyle = document.documentElement.dataset["wall"] ?? "white";
        context?.fillRect(0, 0, 64, 64);
        requestAnimationFrame(draw);
      };
      draw();
      return canvas.captureStream(30);
    };
  });
  await page.goto(`${server.origin}/#your-pictures`);
  await page.locator("[data-class-id]").nth(1).waitFor();
  return { page, errors };
}

const card = (page: Page, index: number) => page.locator("[data-class-id]").nth(index);
const counts = (page: Page) => page.locator(".own-count").allInnerTexts();
const training = (page: Page) => page.innerText("#own-training");

async function downloaded(page: Page, button: string, name: string): Promise<string> {
  const waiting = page.waitForEvent("download");
  await page.click(button);
  const download = await waiting;
  expect(download.suggestedFilename()).toBe(name);
  const path = join(folder, name);
  await download.saveAs(path);
  return path;
}

test("two classes of ten photos each are trained, exported and recognised elsewhere", async () => {
  const { page, errors } = await openTab();
  for (const [i, name] of ownClasses.entries()) {
    await card(page, i).locator("input[type=text]").fill(name);
    const files = Array.from({ length: 10 }, (_, k) => join(folder, "photos", name, `${k}.png`));
    await card(page, i).locator("input[type=file]").setInputFiles(files);
  }
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done in [\d.]+ s\. 4 of 4 pictures that were held out/);
  expect(await page.locator("#own-confusion td").allInnerTexts()).toEqual(["", "2", "", "", "2"]);

  const onnx = await downloaded(page, "#own-onnx", "your-pictures.onnx");
  const bytes = await readFile(onnx);
  expect(classNamesIn(decodeModel(bytes).metadataProps)).toEqual(ownClasses);
  const classifier = await openClassifier(bytes, await openDevice("cpu"), onnx);
  for (const [label, name] of ownClasses.entries())
    for (const i of [10, 11, 12]) {
      const pixels = await pixelsOfPng(await readFile(join(folder, "new", name, `${i}.png`)));
      const logits = fromOrtTensor(await classifier.logits(pixels)).numbers();
      expect(logits.indexOf(Math.max(...logits))).toBe(label);
    }
  await classifier.release();
  const predicted = await shake(folder, "predict", onnx, join("new", "sun", "11.png"));
  expect(predicted).toMatchObject({ code: 0, stdout: expect.stringMatching(/sun/) });

  const checkpoint = await downloaded(page, "#own-checkpoint", "checkpoint");
  const archive = await downloaded(page, "#own-archive", "your-pictures.zip");
  const flags = ["--init", checkpoint, "--image-size", "32", "--dry-run"];
  const trained = await shake(folder, "train", "--data", archive, ...flags);
  expect(trained).toMatchObject({ code: 0 });
  expect(trained.stdout).toMatch(/^network +14 2x32d.*\nleaf +9 +1\nsun +9 +1\n/s);

  await page.click("#own-use");
  await expect.poll(() => page.innerText("#model-facts")).toContain("your-pictures.onnx");
  await page.setInputFiles("#picture-file", join(folder, "new", "leaf", "12.png"));
  await expect.poll(() => page.innerText("#answer")).toMatch(/^Recognised as leaf /);
  expect(errors).toEqual([]);
});

test("a folder fills classes, a reload keeps them and the network, and one button forgets all", async () => {
  const { page, errors } = await openTab();
  writeFiles(folder, { "photos/sun/notes.txt": "no picture", "photos/sun/broken.png": "no picture either" });
  await page.setInputFiles("#own-folder", join(folder, "photos"));
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  await expect
    .poll(() => page.innerText("#own-status"))
    .toBe("20 pictures added. This browser cannot read broken.png.");
  const names = () =>
    page.locator(".own-head input").evaluateAll((all: HTMLInputElement[]) => all.map(({ value }) => value));
  expect(await names()).toEqual(ownClasses);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done/);
  await card(page, 0).locator(".own-thumbnails button").first().click();
  await expect.poll(() => counts(page)).toEqual(["9 pictures", "10 pictures"]);
  expect(await page.isVisible("#own-stale")).toBe(true);
  await card(page, 0).locator(".own-undo").click();
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  expect(await card(page, 0).locator(".own-undo").isVisible()).toBe(false);
  await card(page, 0).locator(".own-thumbnails button").first().click();
  await expect.poll(() => counts(page)).toEqual(["9 pictures", "10 pictures"]);

  await page.reload();
  await expect.poll(() => counts(page)).toEqual(["9 pictures", "10 pictures"]);
  expect(await names()).toEqual(ownClasses);
  expect(await training(page)).toMatch(/^4 of 4 pictures/);
  await page.setInputFiles("#own-try-input", join(folder, "new", "sun", "10.png"));
  await expect.poll(() => page.innerText("#own-answer")).toMatch(/^Recognised as sun \(/);

  await page.click("#own-forget");
  await page.click("#ask-yes");
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "No pictures yet"]);
  expect(await page.isDisabled("#own-onnx")).toBe(true);
  await page.reload();
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "No pictures yet"]);
  expect(await names()).toEqual(["Class 1", "Class 2"]);
  expect(await training(page)).toBe("Not trained yet.");
  // a reload ends what the page is reading from memory
  expect(errors.filter((error) => !/^request: blob:.* net::ERR_ABORTED$/.test(error))).toEqual([]);
});

test("the camera records while a button is held, and answers ten times a second once it is trained", async () => {
  const { page, errors } = await openTab();
  const record = (index: number) => card(page, index).locator(".own-record");
  const taken = async (index: number) => Number.parseInt(at(await counts(page), index), 10) || 0;
  await record(0).click();
  await expect.poll(() => page.isVisible("#own-camera")).toBe(true);
  expect(await taken(0)).toBe(0);
  await record(0).hover();
  await page.mouse.down();
  await page.waitForTimeout(1500);
  await page.mouse.up();
  await expect.poll(() => taken(0)).toBeGreaterThan(7);
  await page.evaluate(() => document.documentElement.setAttribute("data-wall", "black"));
  await page.waitForTimeout(200);
  await record(1).focus();
  await page.keyboard.down("Space");
  await page.waitForTimeout(1500);
  await page.keyboard.up("Space");
  await expect.poll(() => taken(1)).toBeGreaterThan(7);
  await page.waitForTimeout(300);
  const kept = await taken(1);
  await page.waitForTimeout(300);
  expect(await taken(1)).toBe(kept);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done/);
  await expect.poll(() => page.innerText("#own-live")).toMatch(/^Recognised as Class 2 /);
  const rate = async () => Number.parseInt(await page.innerText("#own-rate"), 10);
  await expect.poll(rate).toBeGreaterThanOrEqual(10);
  await page.click("#tab-classify");
  expect(await page.locator("#own-video").evaluate((video: HTMLVideoElement) => video.srcObject)).toBe(null);
  expect(errors).toEqual([]);
});

test("drawings fill a class, by a pointer and by the keyboard, and are recognised", async () => {
  const { page, errors } = await openTab();
  const canvas = page.locator("#drawing-canvas");
  const drawLine = async (isUpright: boolean, place: number) => {
    const { x = 0, y = 0, width = 0 } = (await canvas.boundingBox()) ?? {};
    const [along, across] = [
      [0.15, 0.85],
      [place, place],
    ] as const;
    const point = (i: 0 | 1): [number, number] =>
      isUpright
        ? [x + across[i] * width, y + along[i] * width]
        : [x + along[i] * width, y + across[i] * width];
    await page.mouse.move(...point(0));
    await page.mouse.down();
    await page.mouse.move(...point(1), { steps: 4 });
    await page.mouse.up();
  };
  for (const [index, isUpright] of [true, false].entries()) {
    await card(page, index).locator(".own-draw").click();
    expect(await page.isDisabled("#drawing-done")).toBe(true);
    for (let i = 0; i < 5; i++) {
      await drawLine(isUpright, 0.3 + 0.1 * i);
      await page.click("#drawing-done");
      await expect.poll(() => page.isDisabled("#drawing-done")).toBe(true);
    }
    await page.click("#drawing-close");
  }
  await card(page, 1).locator(".own-draw").click();
  for (let i = 0; i < 14; i++) await page.keyboard.press("ArrowLeft");
  for (let i = 0; i < 28; i++) await page.keyboard.press("Shift+ArrowRight");
  await page.click("#drawing-done");
  await page.click("#drawing-close");
  await expect.poll(() => counts(page)).toEqual(["5 pictures", "6 pictures"]);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done/);
  await page.click("#own-try-draw");
  await drawLine(true, 0.55);
  await page.click("#drawing-done");
  await expect.poll(() => page.innerText("#own-answer")).toMatch(/^Recognised as Class 1 /);
  expect(errors).toEqual([]);
});

test("a folder that is dropped fills classes, and pictures that are dropped fill one or are tried", async () => {
  const { page, errors } = await openTab();
  const session = await page.context().newCDPSession(page);
  const drop = async (path: string, selector: string) => {
    await page.locator(selector).first().scrollIntoViewIfNeeded();
    const { x = 0, y = 0 } = (await page.locator(selector).first().boundingBox()) ?? {};
    const data = { items: [], files: [path], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
      await session.send("Input.dispatchDragEvent", { type, x: x + 5, y: y + 5, data });
  };
  await drop(join(folder, "photos"), "#your-pictures .lead");
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  await drop(join(folder, "new", "leaf", "10.png"), "[data-class-id]");
  await expect.poll(() => counts(page)).toEqual(["11 pictures", "10 pictures"]);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done/);
  await drop(join(folder, "new", "sun", "10.png"), "#your-pictures .lead");
  await expect.poll(() => page.innerText("#status")).toMatch(/^10\.png: Recognised as sun/);
  expect(errors).toEqual([]);
});

test("a small network is trained from the start, and what is wrong is a sentence", async () => {
  const { page, errors } = await openTab();
  const sentence = () => page.innerText("#error p");
  await page.click("#own-train");
  await expect
    .poll(sentence)
    .toBe("There are not two classes with pictures yet: give each class at least 2, better ten.");
  const name = card(page, 0).locator("input[type=text]");
  await name.fill("a/b");
  expect(await card(page, 0).locator(".own-problem").innerText()).toMatch(/because it becomes a folder\.$/);
  await name.fill("class 2");
  expect(await card(page, 0).locator(".own-problem").innerText()).toBe("Another class is called class 2.");
  await name.press("Tab");
  expect(await name.inputValue()).toBe("Class 1");
  mkdirSync(join(folder, "empty", "things"), { recursive: true });
  writeFileSync(join(folder, "empty", "things", "notes.txt"), "no picture");
  await page.setInputFiles("#own-folder", join(folder, "empty"));
  await expect
    .poll(sentence)
    .toBe("The folder has no pictures: give a folder of folders, one for each class.");

  await page.setInputFiles("#own-folder", join(folder, "photos"));
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  await page.click("#own-method input[value=whole]");
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Step \d+ of \d+, loss/);
  await page.click("#own-stop");
  await expect.poll(() => training(page)).toMatch(/^(Done|Stopped)/);
  expect(await page.isEnabled("#own-train")).toBe(true);
  expect(errors).toEqual([]);
});
