import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { ownPage } from "../support/own-page.ts";
import { ownClasses, ownPhoto } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";

const { folder, openTab, photosOf } = ownPage();

const counts = (page: Page) => page.locator(".own-count").allInnerTexts();

/** Opens the tab with ten photos in each class. */
async function openFilled() {
  const opened = await openTab();
  const { page } = opened;
  for (const [i, name] of ownClasses.entries())
    await page.locator("[data-class-id]").nth(i).locator("input[type=file]").setInputFiles(photosOf(name));
  await expect.poll(() => counts(page)).toEqual(["10 pictures", "10 pictures"]);
  return opened;
}

test("folders whose names differ in case alone become one class", async () => {
  const { page, errors } = await openTab();
  for (const [i, name] of ["Leaf", "leaf", "sun"].entries())
    writeFiles(folder, { [`cases/${name}/${i}.png`]: await ownPhoto("leaf", i) });
  await page.setInputFiles("#own-folder", join(folder, "cases"));
  await expect.poll(() => counts(page)).toEqual(["2 pictures", "1 picture"]);
  const names = await page
    .locator(".own-head input")
    .evaluateAll((all: HTMLInputElement[]) => all.map(({ value }) => value));
  expect(names).toEqual(["Leaf", "sun"]);
  expect(errors).toEqual([]);
});

test("the answers to the camera leave the error of something else on the page", async () => {
  const { page, errors } = await openFilled();
  await page.click("#own-train");
  await expect.poll(() => page.innerText("#own-training")).toMatch(/^Done/);
  await page.click("#own-try-camera");
  await expect.poll(() => page.innerText("#own-live")).toMatch(/^Recognised as /);
  const broken = { name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
  await page.setInputFiles("#own-try-input", broken);
  await expect
    .poll(() => page.innerText("#error p"))
    .toBe("broken.png is not a picture that this browser can read.");
  await page.waitForTimeout(500);
  expect(await page.isVisible("#error")).toBe(true);
  expect(errors).toEqual([]);
});

test("a network answers to the picture that was tried before it was trained", async () => {
  const { page, errors } = await openFilled();
  await page.setInputFiles("#own-try-input", join(folder, "new", "sun", "10.png"));
  await expect.poll(() => page.innerText("#status")).toBe("Train the network, then try it.");
  expect(await page.innerText("#own-answer")).toBe("Try it");
  await page.click("#own-train");
  await expect.poll(() => page.innerText("#own-answer")).toMatch(/^Recognised as Class 2 /);
  expect(errors).toEqual([]);
});

test("a network that the browser could not keep is to be downloaded", async () => {
  const { page, errors } = await openFilled();
  await page.evaluate(() => {
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (this: IDBObjectStore, value: unknown, key?: IDBValidKey) {
      if (key === "own-network-1") throw new DOMException("the disk is full", "QuotaExceededError");
      return key === undefined ? put.call(this, value) : put.call(this, value, key);
    };
  });
  await page.click("#own-train");
  await expect
    .poll(() => page.innerText("#own-training"))
    .toMatch(/^Done in .+\. This browser could not keep the network: download it\.$/);
  expect(await page.isEnabled("#own-onnx")).toBe(true);
  expect(errors).toEqual([]);
});
