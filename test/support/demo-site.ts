import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, inject } from "vitest";
import { drawShapes } from "../../runtime/data/shapes.ts";
import { fromOrtTensor } from "../../runtime/device/tensors.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { openClassifier } from "../../shakenet/index.ts";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { modelOfRun, packagedModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage, serveFolders } from "./browser.ts";
import { shake, temporaryFolder } from "./shake.ts";

const flags = "--width 4 --train-limit 400 --test-limit 40 --epochs 2 --batch-size 16 --threads 2";

/**
 * A folder that the test files share, which run one after the other: the first one that asks for it makes it.
 */
async function shared(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const [folder, part] = [join(inject("sharedFolder"), name), join(inject("sharedFolder"), `${name}.part`)];
  if (existsSync(folder)) return folder;
  await rm(part, { recursive: true, force: true });
  await make(part);
  await rename(part, folder);
  return folder;
}

/** The built page with the network of the package. */
export function packagedSite(): Promise<string> {
  return shared("packaged-site", async (folder) => buildSite(folder, await packagedModel()));
}

function shortRun(): Promise<string> {
  return shared("run", async (folder) => {
    const run = ["train", ...flags.split(" "), "--run-dir", folder];
    expect(await shake(inject("sharedFolder"), ...run)).toMatchObject({ code: 0 });
  });
}

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

/** An opened page, and what it has told of errors. */
interface OpenedPage {
  readonly page: Page;
  readonly errors: string[];
}

/**
 * The built page with the network of a short run of the command line, or of the run in SHAKE_DEMO_RUN. It is
 * served with or without the headers that threads need.
 */
export function demoSite() {
  const folder = temporaryFolder();
  const run = process.env["SHAKE_DEMO_RUN"] ?? join(inject("sharedFolder"), "run");
  const builtSite = join(inject("sharedFolder"), "site");
  const opened: { close(): Promise<void> }[] = [];
  const kept: { close(): Promise<void> }[] = [];
  let common: Promise<OpenedPage> | undefined;
  const browsers = new Map<boolean, Promise<Browser>>();
  // measuring WebGPU in software takes seconds, so only the tests that need WebGPU have it
  const browserWith = (webgpu: boolean) => {
    const browser = browsers.get(webgpu) ?? openBrowser({ webgpu });
    browsers.set(webgpu, browser);
    return browser;
  };

  beforeAll(async () => {
    if (!process.env["SHAKE_DEMO_RUN"]) await shortRun();
    await shared("site", async (site) => buildSite(site, await modelOfRun(run)));
  }, 120_000);

  // an open page holds hundreds of megabytes and keeps running after its test
  afterEach(async () => {
    for (const thing of opened.splice(0)) await thing.close();
  });

  afterAll(async () => {
    for (const thing of kept) await thing.close();
    for (const browser of browsers.values()) await (await browser).close();
  });

  const openBare = async ({
    isolated = true,
    webgpu = false,
    hash = "",
    site = builtSite,
    prepare = async () => {},
    until = opened,
  }: OpenOptions & { until?: typeof opened }): Promise<OpenedPage> => {
    // under the headers of the demo's server, every test sees that the page obeys its policy
    const server = isolated ? await serveSite(site, { port: 0 }) : await serveFolders({ "/": site });
    const { page, errors } = await openPage(await browserWith(webgpu), "about:blank");
    until.push(page, server);
    await prepare(page);
    await page.goto(`${server.origin}/${hash}`);
    return { page, errors };
  };

  const open = async (options: OpenOptions & { until?: typeof opened } = {}) => {
    const opened = await openBare(options);
    await opened.page.locator("#examples li").nth(19).waitFor({ state: "attached" });
    // waitForFunction evaluates text in the page, which its Content-Security-Policy refuses
    await expect.poll(() => opened.page.textContent("#timing"), { timeout: 20_000 }).not.toBe("");
    return opened;
  };

  return {
    site: builtSite,
    run,
    folder,
    /** Opens the page. */
    openBare,
    /** Opens the page and waits for its first answer. */
    open: (options: OpenOptions = {}) => open(options),
    /**
     * The tab Classify of a page that the tests of a file share, because a page takes seconds to open. It is
     * as the test before has left it.
     */
    async openCommon(): Promise<OpenedPage> {
      common ??= open({ until: kept });
      const { page } = await common;
      await page.setViewportSize({ width: 1280, height: 720 });
      await page.click("#tab-classify");
      return common;
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
