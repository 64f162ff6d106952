import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { at, decodeModel } from "../../graph-builder/index.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { classNamesIn, openClassifier } from "../../shakenet/index.ts";
import {
  callsOf,
  embedDevice,
  hold,
  keptCounts,
  keptFeatures,
  keptIds,
  lessonOf,
  ownPage,
} from "../support/own-page.ts";
import { ownClasses, pixelsOfPng } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";
import { shake } from "../support/shake.ts";

const { folder, photosOf, openTab } = ownPage();

const card = (page: Page, index: number) => page.locator("[data-class-id]").nth(index);
const counts = (page: Page) => page.locator(".own-count").allInnerTexts();
const thumbnails = (page: Page, index: number) => card(page, index).locator(".own-thumbnails button");
const addPhotos = (page: Page, index: number, files: string[]) =>
  card(page, index).locator("input[type=file]").setInputFiles(files);
const forget = async (page: Page) => {
  await page.click("#own-forget");
  await page.click("#ask-yes");
};
/** The errors, without the requests that a reload of the page ends. */
const withoutAborted = (errors: readonly string[]) =>
  errors.filter((error) => !/^request: .* net::ERR_ABORTED$/.test(error));
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
    await addPhotos(page, i, photosOf(name));
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
  // the pictures that were held out, one of each class in turn, of which the first one is shown
  const answers = () => page.locator("#examples .right").allInnerTexts();
  await expect.poll(answers).toEqual(["✓ leaf", "✓ sun", "✓ leaf", "✓ sun"]);
  expect(await page.innerText("#examples-title")).toBe("Test pictures (not used for training)");
  expect(await page.isVisible("#more-examples")).toBe(false);
  await expect.poll(() => page.innerText("#answer")).toMatch(/^Recognised as leaf /);
  expect(await page.innerText("#picture-name")).toBe("leaf");
  await page.setInputFiles("#picture-file", join(folder, "new", "leaf", "12.png"));
  await expect.poll(() => page.innerText("#picture-name")).toBe("12.png");
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

  await forget(page);
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "No pictures yet"]);
  expect(await page.isDisabled("#own-onnx")).toBe(true);
  await page.reload();
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "No pictures yet"]);
  expect(await names()).toEqual(["Class 1", "Class 2"]);
  expect(await training(page)).toBe("Not trained yet.");
  expect(withoutAborted(errors)).toEqual([]);
});

test("a second window waits with a sentence, and has the classes once the first one is closed", async () => {
  const { page } = await openTab();
  await addPhotos(page, 0, photosOf(at(ownClasses, 0)));
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "No pictures yet"]);
  const opening = page.waitForEvent("popup");
  await page.evaluate(() => void window.open(location.href));
  const second = await opening;
  await expect
    .poll(() => second.innerText("#own-elsewhere"))
    .toBe(
      "Your pictures are open in another window of this browser: they open here once that one is closed.",
    );
  // nothing is offered that would do nothing
  expect(await second.locator("#your-pictures button:visible").count()).toBe(0);
  await page.goto("about:blank");
  await expect.poll(() => counts(second)).toEqual(["10 pictures", "No pictures yet"]);
  expect(await second.isVisible("#own-elsewhere")).toBe(false);
  expect(await second.isVisible("#own-train")).toBe(true);
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
  await expect.poll(() => taken(0)).toBeGreaterThan(7);
  await page.mouse.up();
  await page.evaluate(() => document.documentElement.setAttribute("data-wall", "black"));
  await page.waitForTimeout(200);
  await record(1).focus();
  await page.keyboard.down("Space");
  await expect.poll(() => taken(1)).toBeGreaterThan(7);
  await page.keyboard.up("Space");
  // what was taken before the key went up may still be on its way
  const isStill = async () => {
    const before = await taken(1);
    await page.waitForTimeout(500);
    return (await taken(1)) === before;
  };
  await expect.poll(isStill).toBe(true);
  await page.click("#own-train");
  await expect.poll(() => training(page)).toMatch(/^Done/);
  await expect.poll(() => page.innerText("#own-live")).toMatch(/^Recognised as Class 2 /);
  const rate = async () => Number.parseInt(await page.innerText("#own-rate"), 10);
  await expect.poll(rate).toBeGreaterThanOrEqual(10);
  await page.click("#tab-classify");
  expect(await page.locator("#own-video").evaluate((video: HTMLVideoElement) => video.srcObject)).toBe(null);
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

const EMPTY = ["No pictures yet", "No pictures yet"];

test("what is read or recorded while everything is forgotten does not come back", async () => {
  const { page, errors } = await openTab();
  await addPhotos(page, 0, photosOf("leaf"));
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "No pictures yet"]);
  await hold(page, "pictures");
  await addPhotos(page, 0, photosOf("leaf", 2));
  await page.setInputFiles("#own-folder", join(folder, "photos"));
  await card(page, 1).locator(".own-record").click();
  await expect.poll(() => page.isVisible("#own-camera")).toBe(true);
  await forget(page);
  await expect.poll(() => page.innerText("#status")).toBe("Everything in this tab is forgotten.");
  await hold(page, "");
  // a reading of later comes after those that were waiting
  await addPhotos(page, 1, photosOf("sun"));
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "10 pictures"]);
  expect(await page.innerText("#own-status")).toBe("10 pictures added.");
  await expect.poll(() => keptCounts(page)).toEqual([10, 10, 8]);
  await page.reload();
  await expect.poll(() => counts(page)).toEqual(["No pictures yet", "10 pictures"]);
  expect(await page.isVisible("#error")).toBe(false);
  expect(withoutAborted(errors)).toEqual([]);
});

for (const method of ["last-layer", "whole"])
  test(`a training of ${method} that runs while everything is forgotten leaves no network behind`, async () => {
    const { page, errors } = await openTab();
    await page.setInputFiles("#own-folder", join(folder, "photos"));
    await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
    await page.click(`#own-method input[value=${method}]`);
    if (method === "last-layer") await hold(page, "trainLastLayer");
    await page.click("#own-train");
    if (method === "last-layer") await expect.poll(() => callsOf(page, "trainLastLayer")).toBe(1);
    else await expect.poll(() => training(page)).toMatch(/^Step \d+ of \d+, loss/);
    await forget(page);
    await expect.poll(() => counts(page)).toEqual(EMPTY);
    await hold(page, "");
    await expect.poll(() => page.isEnabled("#own-train")).toBe(true);
    expect(await training(page)).toBe("Not trained yet.");
    expect(await page.isDisabled("#own-onnx")).toBe(true);
    expect(await page.isVisible("#own-result")).toBe(false);
    expect(await page.isVisible("#error")).toBe(false);
    expect(await keptCounts(page)).toEqual([0, 0, 0]);
    await page.reload();
    await expect.poll(() => counts(page)).toEqual(EMPTY);
    expect(await training(page)).toBe("Not trained yet.");
    expect(withoutAborted(errors)).toEqual([]);
  });

test("features that are computed while everything is forgotten are not kept", async () => {
  const { page, errors } = await openTab();
  await hold(page, "embed");
  await addPhotos(page, 0, photosOf("leaf"));
  await expect.poll(() => callsOf(page, "embed")).toBe(1);
  await forget(page);
  await expect.poll(() => counts(page)).toEqual(EMPTY);
  await hold(page, "");
  await addPhotos(page, 1, photosOf("sun"));
  // the second call is made once the features of the first are dealt with
  await expect.poll(() => callsOf(page, "embed")).toBe(2);
  const [inputs, , features] = await keptIds(page);
  expect(features?.filter((id) => !inputs?.includes(id))).toEqual([]);
  await expect.poll(() => keptCounts(page)).toEqual([10, 10, 8]);
  expect(errors).toEqual([]);
});

test("a new class never has the pictures of a class that was removed while they were read", async () => {
  const { page, errors } = await openTab();
  const sun = card(page, 2);
  await page.click("#own-add-class");
  const id = await sun.getAttribute("data-class-id");
  await hold(page, "pictures");
  await addPhotos(page, 2, photosOf("sun"));
  await addPhotos(page, 0, photosOf("leaf"));
  await sun.locator(".own-remove").click();
  await expect.poll(() => page.locator("[data-class-id]").count()).toBe(2);
  await page.click("#own-add-class");
  expect(await sun.getAttribute("data-class-id")).not.toBe(id);
  await hold(page, "");
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "No pictures yet", "No pictures yet"]);
  await expect.poll(() => page.innerText("#own-status")).toBe("10 pictures added.");
  await page.reload();
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "No pictures yet", "No pictures yet"]);
  const before = await sun.getAttribute("data-class-id");
  await sun.locator(".own-remove").click();
  await expect.poll(() => page.locator("[data-class-id]").count()).toBe(2);
  await page.reload();
  await page.click("#own-add-class");
  expect(await sun.getAttribute("data-class-id")).not.toBe(before);
  expect(withoutAborted(errors)).toEqual([]);
});

test("pictures that are removed while a training begins are left out with their labels", async () => {
  const { page, errors } = await openTab();
  await hold(page, "embed");
  for (const [i, name] of ownClasses.entries()) await addPhotos(page, i, photosOf(name, 2));
  await expect.poll(() => counts(page)).toEqual(["20 pictures", "20 pictures"]);
  await expect.poll(() => callsOf(page, "embed")).toBe(1);
  await page.click("#own-train");
  // one that is learnt, of each batch of features, and the fourth of the first class, which is held out
  await thumbnails(page, 1).first().click();
  await expect.poll(() => counts(page)).toEqual(["20 pictures", "19 pictures"]);
  await thumbnails(page, 0).first().click();
  await expect.poll(() => counts(page)).toEqual(["19 pictures", "19 pictures"]);
  await card(page, 0).getByRole("button", { name: "Remove picture 4", exact: true }).click();
  await expect.poll(() => counts(page)).toEqual(["18 pictures", "19 pictures"]);
  await hold(page, "");
  await expect.poll(() => training(page)).toMatch(/^Done in [\d.]+ s\. 7 of 7 pictures that were held out/);
  expect(await page.locator("#own-confusion td").allInnerTexts()).toEqual(["", "3", "", "", "4"]);
  const { labels, rows, heldOut } = await lessonOf(page);
  expect([labels.length, heldOut]).toEqual([30, [0, 0, 0, 1, 1, 1, 1]]);
  expect(await labelsInStore(page, rows)).toEqual(labels);
  expect(await page.isVisible("#own-stale")).toBe(true);
  expect(errors).toEqual([]);
});

test("features are computed on WebGPU where it is chosen, and are those of WebAssembly", async () => {
  const featuresOn = async (device: "wasm" | "webgpu") => {
    const { page, errors } = await openTab({ webgpu: true });
    await page.click("#tab-classify");
    await page.click(`#devices input[value=${device}]`);
    await expect.poll(() => page.innerText(`#device-${device}`)).toMatch(/^▸ .* ms a picture/);
    await page.click("#tab-your-pictures");
    await addPhotos(page, 0, photosOf("leaf"));
    await expect.poll(() => keptCounts(page)).toEqual([10, 10, 8]);
    expect(await embedDevice(page)).toBe(device);
    expect(errors).toEqual([]);
    return keptFeatures(page);
  };
  const [wasm, webgpu] = [(await featuresOn("wasm")).flat(), (await featuresOn("webgpu")).flat()];
  const most = Math.max(...wasm);
  expect(wasm).toHaveLength(webgpu.length);
  for (const [i, value] of wasm.entries()) expect(Math.abs(value - at(webgpu, i)) / most).toBeLessThan(1e-3);
});

/** The classes, counted from 0, of the pictures that have these features. */
function labelsInStore(page: Page, rows: readonly (readonly number[])[]): Promise<number[]> {
  return page.evaluate(async (rows) => {
    const result = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await result(indexedDB.open("shakenet-pictures"));
    const stores = database.transaction(["inputs", "features"]);
    const features = await result<{ id: number; values: Float32Array }[]>(
      stores.objectStore("features").getAll(),
    );
    const inputs = await result<{ id: number; classId: number }[]>(stores.objectStore("inputs").getAll());
    database.close();
    return rows.map((row) => {
      const own = features.find(({ values }) => row.every((value, i) => value === values[i]));
      return (inputs.find(({ id }) => id === own?.id)?.classId ?? 0) - 1;
    });
  }, rows);
}
