import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { drawShapes } from "../../runtime/data/shapes.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { finishedRun } from "../../runtime/node/run/run-directory.ts";
import { openClassifier } from "../../shakenet/index.ts";
import { buildSite } from "../../web/site/build.ts";
import { openBrowser, openPage, serveFolders } from "./browser.ts";
import { shake, temporaryFolder } from "./shake.ts";

const flags = "--width 4 --train-limit 400 --test-limit 40 --epochs 2 --batch-size 16 --threads 2";

/**
 * The built page with a model just trained by the real command line, or that of the run which SHAKE_DEMO_RUN names (for pictures of the
 * page), served with or without the headers that threads need.
 */
export function demoSite() {
  const folder = temporaryFolder();
  const run = process.env["SHAKE_DEMO_RUN"] ?? join(folder, "run");
  const opened: { close(): Promise<void> }[] = [];
  const browsers = new Map<boolean, Promise<Browser>>();
  // software WebGPU takes seconds to be measured: only what needs it has it
  const browserWith = (webgpu: boolean) => {
    const browser = browsers.get(webgpu) ?? openBrowser({ webgpu });
    browsers.set(webgpu, browser);
    return browser;
  };

  beforeAll(async () => {
    expect(await shake(folder, "train", ...flags.split(" "), "--run-dir", "run")).toMatchObject({ code: 0 });
    await buildSite(join(folder, "site"), await finishedRun(run));
  }, 120_000);

  // a page holds hundreds of megabytes, and works on after its test
  afterEach(async () => {
    for (const thing of opened.splice(0)) await thing.close();
  });

  afterAll(async () => {
    for (const browser of browsers.values()) await (await browser).close();
  });

  return {
    site: join(folder, "site"),
    run,
    folder,
    /** Opens the page and waits for its first answer. */
    async open({
      isolated = true,
      webgpu = false,
      hash = "",
      site = join(folder, "site"),
      prepare = async (_: Page) => {},
    } = {}) {
      const server = await serveFolders({ "/": site }, { isolated });
      const { page, errors } = await openPage(await browserWith(webgpu), "about:blank");
      opened.push(page, server);
      await prepare(page);
      await page.goto(`${server.origin}/${hash}`);
      await page.locator("#examples li").nth(19).waitFor({ state: "attached" });
      await page.waitForFunction(`document.querySelector("#timing").textContent !== ""`);
      return { page, errors };
    },
  };
}

/** The test pictures of shapes that the page shows first: raw pixels [count, 3, 32, 32]. */
export function examples(count: number): Uint8Array {
  return drawShapes("test", count, 0).images;
}

/** The probabilities in percent that ONNX Runtime's CPU gives a picture, to one digit as the page shows them. */
export async function expectedPercents(model: string, image: Uint8Array): Promise<number[]> {
  const classifier = await openClassifier(await readFile(model), await openDevice("cpu"), model);
  const logits = [...((await classifier.logits(image)).data as Float32Array)];
  await classifier.release();
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => (100 * power) / sum);
}

/** The percents of a list of bars on the page. */
export async function shownPercents(page: Page, id = "bars"): Promise<number[]> {
  const texts = await page.locator(`#${id} .value`).allInnerTexts();
  return texts.map((text) => Number.parseFloat(text));
}

/** Waits until the bars show these percents, within a rounding of one digit and what two devices differ by. */
export async function expectPercents(page: Page, expected: readonly number[], id = "bars"): Promise<void> {
  await expect
    .poll(
      async () => {
        const shown = await shownPercents(page, id);
        return Math.max(...expected.map((percent, i) => Math.abs(percent - (shown[i] ?? Number.NaN))));
      },
      { timeout: 20_000 },
    )
    .toBeLessThan(0.3);
}

/** Saves a picture of the page for the README, where SHAKE_SCREENSHOTS asks for it. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env["SHAKE_SCREENSHOTS"] === undefined) return;
  await page.setViewportSize({ width: 1000, height: 700 });
  // transitions end
  await page.waitForTimeout(500);
  await page.screenshot({ path: join("docs", `${name}.png`), fullPage: true });
}
