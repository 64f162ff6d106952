import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { drawShapes } from "../../runtime/data/shapes.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { openClassifier } from "../../shakenet/index.ts";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { modelOfRun } from "../../web/site/site-model.ts";
import { openBrowser, openPage, serveFolders } from "./browser.ts";
import { shake, temporaryFolder } from "./shake.ts";

const flags = "--width 4 --train-limit 400 --test-limit 40 --epochs 2 --batch-size 16 --threads 2";

/** How the page is served and opened. */
interface OpenOptions {
  /** Whether the server sends the headers that threads need. */
  readonly isolated?: boolean;
  readonly webgpu?: boolean;
  readonly hash?: string;
  /** The folder of the built page. */
  readonly site?: string;
  /** Called before the page is loaded. */
  readonly prepare?: (page: Page) => Promise<void>;
}

/**
 * The built page with the network of a short run of the command line, or of the run in SHAKE_DEMO_RUN. It is
 * served with or without the headers that threads need.
 */
export function demoSite() {
  const folder = temporaryFolder();
  const run = process.env["SHAKE_DEMO_RUN"] ?? join(folder, "run");
  const opened: { close(): Promise<void> }[] = [];
  const browsers = new Map<boolean, Promise<Browser>>();
  // measuring WebGPU in software takes seconds, so only the tests that need WebGPU have it
  const browserWith = (webgpu: boolean) => {
    const browser = browsers.get(webgpu) ?? openBrowser({ webgpu });
    browsers.set(webgpu, browser);
    return browser;
  };

  beforeAll(async () => {
    expect(await shake(folder, "train", ...flags.split(" "), "--run-dir", "run")).toMatchObject({ code: 0 });
    await buildSite(join(folder, "site"), await modelOfRun(run));
  }, 120_000);

  // an open page holds hundreds of megabytes and keeps running after its test
  afterEach(async () => {
    for (const thing of opened.splice(0)) await thing.close();
  });

  afterAll(async () => {
    for (const browser of browsers.values()) await (await browser).close();
  });

  const openBare = async ({
    isolated = true,
    webgpu = false,
    hash = "",
    site = join(folder, "site"),
    prepare = async () => {},
  }: OpenOptions) => {
    // under the headers of the demo's server, every test sees that the page obeys its policy
    const server = isolated ? await serveSite(site, { port: 0 }) : await serveFolders({ "/": site });
    const { page, errors } = await openPage(await browserWith(webgpu), "about:blank");
    opened.push(page, server);
    await prepare(page);
    await page.goto(`${server.origin}/${hash}`);
    return { page, errors };
  };

  return {
    site: join(folder, "site"),
    run,
    folder,
    /** Opens the page. */
    openBare,
    /** Opens the page and waits for its first answer. */
    async open(options: OpenOptions = {}) {
      const opened = await openBare(options);
      await opened.page.locator("#examples li").nth(19).waitFor({ state: "attached" });
      // waitForFunction evaluates text in the page, which its Content-Security-Policy refuses
      await expect.poll(() => opened.page.textContent("#timing"), { timeout: 20_000 }).not.toBe("");
      return opened;
    },
  };
}

/** The test pictures of `shapes` that the page shows first: raw pixels uint8 [count, 3, 32, 32]. */
export function examples(count: number): Uint8Array {
  return drawShapes("test", count, 0).images;
}

/** The probabilities of a picture, in percent, from ONNX Runtime's CPU provider in Node. */
export async function expectedPercents(model: string, image: Uint8Array): Promise<number[]> {
  const classifier = await openClassifier(await readFile(model), await openDevice("cpu"), model);
  const logits = fromOrtTensor(await classifier.logits(image)).numbers();
  await classifier.release();
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => (100 * power) / sum);
}

/** The percents that a list of bars shows. */
export async function shownPercents(page: Page, id = "bars"): Promise<number[]> {
  const texts = await page.locator(`#${id} .value`).allInnerTexts();
  return texts.map((text) => Number.parseFloat(text));
}

/** Waits until the bars show these percents. The tolerance covers the rounding and another device. */
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
