import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { at } from "../../graph-builder/index.ts";
import { demoSite } from "../support/demo-site.ts";

const demo = demoSite();

/** Bytes of a page's objects, nodes and array buffers, after a garbage collection. */
async function heapBytes(page: Page): Promise<number> {
  await page.evaluate("gc()");
  const session = await page.context().newCDPSession(page);
  const usage = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return Object.values(usage).reduce((sum, bytes) => sum + bytes, -usage.totalSize);
}

/** The resident memory of the page's process in bytes, with its worker and WebAssembly. */
async function rendererMemory(page: Page): Promise<number> {
  const session = await page.context().browser()?.newBrowserCDPSession();
  const { processInfo = [] } = (await session?.send("SystemInfo.getProcessInfo")) ?? {};
  await session?.detach();
  const pages = processInfo.filter(({ type }) => type === "renderer");
  const sizes = await Promise.all(pages.map(({ id }) => readFile(`/proc/${id}/statm`, "utf8")));
  return sizes.reduce((sum, text) => sum + 4096 * Number(text.split(" ")[1]), 0);
}

test("1,000 classifications and 30 trainings leave the memory as it was", { timeout: 600_000 }, async () => {
  const { page, errors } = await demo.open();
  await page.click("input[value=wasm]");
  const classify = (times: number) =>
    page.evaluate(async (times) => {
      const buttons = [...document.querySelectorAll<HTMLButtonElement>("#examples button")];
      const status = document.querySelector("#status");
      for (let i = 0; i < times; i++) {
        const name = i % 2 === 0 ? "ring" : "star";
        buttons[i % 2 === 0 ? 1 : 6]?.click();
        while (!status?.textContent?.startsWith(`${name}: `)) await new Promise((done) => setTimeout(done));
      }
    }, times);
  const train = async () => {
    await page.click("#tab-train");
    await page.click("#start-training");
    // the network before is neither used nor downloaded
    if (await page.isVisible("#ask")) await page.click("#ask-yes");
    const status = () => page.innerText("#training-status");
    await expect.poll(status, { timeout: 120_000 }).not.toMatch(/^Done/);
    await expect.poll(status, { timeout: 120_000 }).toMatch(/^Done/);
    await page.click("#tab-classify");
  };
  const small = { width: "4", images: "500", batchSize: "128", device: "wasm" };
  await page.click("#tab-train");
  for (const [name, value] of Object.entries(small))
    await page.selectOption(`#train-form [name=${name}]`, value);
  await page.fill("#train-form [name=epochs]", "1");
  await page.click("#tab-classify");
  const heaps: number[] = [];
  const sizes: number[] = [];
  for (let round = 0; round < 30; round++) {
    await train();
    await classify(34);
    heaps.push(await heapBytes(page));
    sizes.push(await rendererMemory(page));
  }
  // the first ten rounds warm up; medians leave out single collections
  const median = (bytes: number[]) =>
    at(
      bytes.toSorted((a, b) => a - b),
      bytes.length >> 1,
    );
  const growth = (bytes: number[]) => median(bytes.slice(-5)) - median(bytes.slice(10, 15));
  // over 500 classifications and 15 trainings
  expect(growth(heaps)).toBeLessThan(3e6);
  expect(growth(sizes)).toBeLessThan(30e6);
  expect(errors).toEqual([]);
});
