import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { packagedModel, type SiteModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { ownClasses, ownPhoto } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";
import { shake, temporaryFolder } from "../support/shake.ts";
import { spinningModel } from "../support/spinning-model.ts";

/** Where the pictures go; they are for eyes, and none are made where it is left out. */
const out = process.env["SHAKE_GRID"];
const widths = [360, 768, 1440] as const;

const folder = temporaryFolder();
const opened: { close(): Promise<void> }[] = [];
let browser: Browser;

async function open(model: SiteModel | undefined, hash = ""): Promise<Page> {
  const site = join(folder, `site-${model ? "model" : "empty"}`);
  await buildSite(site, model);
  const server = await serveSite(site, { port: 0 });
  const { page } = await openPage(browser, "about:blank");
  opened.push(page, server);
  await page.addInitScript(showTestCard);
  await page.goto(`${server.origin}/${hash}`);
  if (model) await expect.poll(() => page.textContent("#timing"), { timeout: 600_000 }).not.toBe("");
  return page;
}

/** Gives the page a camera that sees a disc on a wall. */
function showTestCard(): void {
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 320;
    const context = canvas.getContext("2d");
    const draw = () => {
      if (!context) return;
      context.fillStyle = "#8aa";
      context.fillRect(0, 0, 320, 320);
      context.fillStyle = "#c52";
      context.beginPath();
      context.arc(160, 160, 90, 0, 7);
      context.fill();
      requestAnimationFrame(draw);
    };
    draw();
    return canvas.captureStream(30);
  };
}

/** Shoots the page, or the window alone, on every width in light and in dark. */
async function shoot(page: Page, name: string, fullPage = true): Promise<void> {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      // charts are drawn anew in the next frames
      await page.waitForTimeout(200);
      const path = join(out ?? folder, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage, animations: "disabled" });
    }
  }
}

/** Moves a file over the page, or off it. */
function drag(page: Page, type: "dragover" | "dragleave"): Promise<boolean> {
  return page.evaluate((type) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([""], "cat.png"));
    return dispatchEvent(new DragEvent(type, { dataTransfer, cancelable: true }));
  }, type);
}

const says = (page: Page, selector: string, text: RegExp) =>
  expect.poll(() => page.innerText(selector), { timeout: 600_000 }).toMatch(text);

describe.skipIf(out === undefined)("the page on three widths, in light and in dark", () => {
  beforeAll(async () => {
    await mkdir(out ?? folder, { recursive: true });
    browser = await openBrowser();
  });

  afterAll(async () => {
    for (const thing of opened) await thing.close();
    await browser?.close();
  });

  test("Classify, with its messages and dialogs", async () => {
    const page = await open(await packagedModel());
    await page.locator("#examples button").nth(6).click();
    await shoot(page, "classify");
    await page.click("#open-camera");
    await page.waitForTimeout(500);
    await shoot(page, "classify-camera", false);
    await page.click("#close-camera");
    await drag(page, "dragover");
    await shoot(page, "classify-drop", false);
    await drag(page, "dragleave");
    const buffer = Buffer.from(spinningModel(32));
    await page.setInputFiles("#picture-file", {
      name: "notes of the last holiday.png",
      mimeType: "image/png",
      buffer,
    });
    await page.setInputFiles("#model-file", { name: "spin.onnx", mimeType: "", buffer });
    await page.locator("#long-model").waitFor();
    await shoot(page, "classify-messages", false);
  });

  test("Classify and Shake without a model", async () => {
    const page = await open(undefined);
    await page.waitForTimeout(1000);
    await shoot(page, "no-model");
    await page.click("#tab-shake");
    await shoot(page, "no-model-shake");
  });

  test("Shake with six and with twelve blocks, before and after its buttons", async () => {
    const page = await open(await packagedModel(), "#shake");
    await says(page, "#shake-answer", /\d/);
    await shoot(page, "shake");
    await page.locator("#blocks input").first().fill("0.9");
    await page.locator("#blocks input").last().fill("0.2");
    for (const button of ["#draw", "#draw-step", "#draw-beta"]) await page.click(button);
    await says(page, "#spread", /^200 draws/);
    await expect.poll(() => page.locator("#beta-drawing li").count(), { timeout: 600_000 }).toBe(6);
    await shoot(page, "shake-drawn");
    await shake(folder, "build-graph", "--depth", "26", "--width", "4", "--out", "deep");
    await page.setInputFiles("#model-file", join(folder, "deep", "checkpoint"));
    await expect.poll(() => page.locator("#blocks li").count()).toBe(12);
    await page.click("#draw-beta");
    await expect.poll(() => page.locator("#beta-drawing li").count(), { timeout: 600_000 }).toBe(12);
    await shoot(page, "shake-12");
    await page.setInputFiles("#model-file", (await packagedModel()).onnx);
    await says(page, "#shake-missing", /\w/);
    await shoot(page, "shake-missing");
  });

  test("Train before, during and after a training, and its question", async () => {
    const page = await open(await packagedModel(), "#train");
    await shoot(page, "train");
    await page.selectOption("[name=depth]", "14");
    await page.selectOption("[name=images]", "500");
    await page.fill("[name=epochs]", "8");
    await page.click("#start-training");
    await says(page, "#training-facts", /epoch\s+2/);
    await shoot(page, "train-during");
    await says(page, "#training-status", /^Done/);
    for (const summary of await page.locator("#train summary").all()) await summary.click();
    await expect.poll(() => page.locator("#maps li").count(), { timeout: 600_000 }).toBe(12);
    await shoot(page, "train-after");
    await page.click("#start-training");
    await shoot(page, "train-question", false);
  });

  test("Your pictures, empty and trained, and its drawing", async () => {
    for (const name of ownClasses)
      for (let i = 0; i < 24; i++)
        writeFiles(folder, { [`photos/${name}/${String(i).padStart(2, "0")}.png`]: await ownPhoto(name, i) });
    const page = await open(await packagedModel(), "#your-pictures");
    await page.locator("[data-class-id]").nth(1).waitFor();
    await shoot(page, "own");
    await page.setInputFiles("#own-folder", join(folder, "photos"));
    await says(page, "#own-status", /^48 pictures added/);
    await page.click("#own-train");
    await says(page, "#own-training", /^Done/);
    await page.click("#own-try-camera");
    await says(page, "#own-live", /^Recognised/);
    await shoot(page, "own-trained");
    await page.locator(".own-draw").first().click();
    await shoot(page, "own-drawing", false);
  });
});
