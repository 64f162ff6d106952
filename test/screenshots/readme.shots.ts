import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildSite } from "../../web/site/build.ts";
import { modelOfRun, packagedModel, type SiteModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage, serveFolders } from "../support/browser.ts";
import { shake, temporaryFolder } from "../support/shake.ts";
import { animatedWebp, type Frame } from "./animated-webp.ts";

/** The size of the window in the pictures of the README. */
const SIZE = { width: 1000, height: 700 };
const RECORDED = { width: 880, height: 660 };
const FRAME_MS = 500;

const folder = temporaryFolder();
// the place where the command puts its first run
const run = join(folder, "runs", "8-2x16d-shapes-s1");
let browser: Browser;

beforeAll(async () => {
  browser = await openBrowser();
  // the command of the README, whose network has learnt
  expect(await shake(folder, "train")).toMatchObject({ code: 0 });
});

afterAll(() => browser?.close());

async function open(model: SiteModel | undefined, size = SIZE) {
  const site = join(folder, `site-${model?.name.replaceAll("/", "-")}`);
  await buildSite(site, model);
  const server = await serveFolders({ "/": site }, { isolated: true });
  const { page } = await openPage(browser, "about:blank");
  await page.setViewportSize(size);
  await page.goto(server.origin);
  await page.waitForFunction(`document.querySelector("#timing").textContent !== ""`);
  await page.waitForFunction(`document.querySelector("#status").textContent !== "Measuring the devices"`);
  return { page, close: () => Promise.all([page.close(), server.close()]) };
}

async function shoot(page: Page, name: string): Promise<void> {
  // CSS transitions end
  await page.waitForTimeout(1500);
  await page.screenshot({ path: join("docs", `${name}.png`), fullPage: true });
}

async function startTraining(page: Page, epochs: number): Promise<void> {
  await page.click("#tab-train");
  await page.fill("[name=epochs]", String(epochs));
  await page.click("#start-training");
}

const isDone = (page: Page) =>
  page.evaluate<boolean>(`document.querySelector("#training-status").textContent.startsWith("Done")`);

test("docs/classify.png: drawings that the network of the package recognises", async () => {
  const { page, close } = await open(await packagedModel());
  await page.locator("#examples button").nth(6).click();
  await shoot(page, "classify");
  await close();
});

test("docs/shake.png: random mixes, a step by image, and what beta does", async () => {
  const { page, close } = await open(await modelOfRun(run));
  await page.click("#tab-shake");
  await page.locator("#blocks input[type=range]").first().fill("0.8");
  await page.locator("#blocks input[type=range]").last().fill("0.3");
  await page.click("#draw");
  await expect.poll(() => page.innerText("#spread"), { timeout: 60_000 }).toMatch(/^200 draws/);
  await page.click("#draw-step");
  await page.click("#draw-beta");
  await expect.poll(() => page.locator("#beta-drawing li").count(), { timeout: 60_000 }).toBe(3);
  await shoot(page, "shake");
  await close();
});

test("docs/train.png: a network that has learnt in the page", async () => {
  const { page, close } = await open(await modelOfRun(run));
  await startTraining(page, 10);
  await expect.poll(() => isDone(page), { timeout: 600_000 }).toBe(true);
  await page.click("#answers-card summary >> nth=0");
  await page.click("#inside summary");
  await expect.poll(() => page.locator("#maps li").count(), { timeout: 60_000 }).toBe(6);
  await shoot(page, "train");
  await close();
});

test("docs/report.png: the first half of the report of a network that has learnt", async () => {
  const { page } = await openPage(browser, pathToFileURL(join(run, "report.html")).href);
  await page.setViewportSize({ width: 1100, height: 2000 });
  await page.screenshot({ path: join("docs", "report.png") });
  await page.close();
});

test("docs/training.webp: a training in the page, below 2 MB", async () => {
  const { page, close } = await open(await modelOfRun(run), RECORDED);
  await startTraining(page, 6);
  await page.locator("#training-progress").evaluate((bar) => bar.parentElement?.scrollIntoView());
  const pictures: Buffer[] = [];
  while (!(await isDone(page))) {
    pictures.push(await page.screenshot({ type: "png" }));
    await page.waitForTimeout(FRAME_MS);
  }
  await page.locator("#answers-card").scrollIntoViewIfNeeded();
  pictures.push(await page.screenshot({ type: "png" }));
  await close();
  const every = Math.ceil(pictures.length / 60);
  const shown = pictures.filter((_, i) => i % every === 0 || i === pictures.length - 1);
  const frames = await Promise.all(
    shown.map(async (png): Promise<Frame> => ({ webp: await webp(png), duration: 200 })),
  );
  const last = frames.at(-1);
  if (last) frames[frames.length - 1] = { ...last, duration: 4000 };
  const bytes = animatedWebp(frames, RECORDED.width, RECORDED.height);
  expect(bytes.length).toBeLessThan(2_000_000);
  await writeFile(join("docs", "training.webp"), bytes);
});

/** Converts a picture with the browser, which has an encoder. */
async function webp(png: Buffer): Promise<Uint8Array> {
  const { page } = await openPage(browser, "about:blank");
  const url = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d", { alpha: false })?.drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.6);
  }, png.toString("base64"));
  await page.close();
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}
