import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { decodeModel } from "../../graph-builder/index.ts";
import { demoSite, shownPercents } from "../support/demo-site.ts";

const demo = demoSite();

async function choose(page: Page, choices: Readonly<Record<string, string>>): Promise<void> {
  await page.click("#tab-train");
  for (const [name, value] of Object.entries(choices)) {
    const field = page.locator(`#train-form [name=${name}]`);
    if ((await field.evaluate(({ tagName }) => tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
}

/** A fact under the progress bar, such as `training loss`. */
async function fact(page: Page, name: string): Promise<number> {
  const facts = (await page.innerText("#training-facts")).split("\n").filter((line) => line.trim() !== "");
  return Number.parseFloat(facts[facts.indexOf(name) + 1] ?? "");
}

/** The file that a button downloads under a name. */
async function downloaded(page: Page, button: string, name: string): Promise<Uint8Array> {
  const waiting = page.waitForEvent("download");
  await page.click(button);
  const download = await waiting;
  expect(download.suggestedFilename()).toBe(name);
  return readFile(await download.path());
}

test("a short training lowers the loss, the page stays responsive, and the trained files can be downloaded", async () => {
  const { page, errors } = await demo.open();
  await choose(page, { width: "4", images: "500", epochs: "3", batchSize: "32", device: "wasm" });
  await page.click("#start-training");
  await expect.poll(() => fact(page, "training loss")).toBeGreaterThan(0);
  const first = await fact(page, "training loss");
  const longest = await page.evaluate(async () => {
    let [last, worst] = [performance.now(), 0];
    for (let i = 0; i < 60; i++) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      [worst, last] = [Math.max(worst, now - last), now];
    }
    return worst;
  });
  // a step on the page's own thread would take longer than this
  expect(longest).toBeLessThan(1000);
  await expect
    .poll(() => page.innerText("#training-status"), { timeout: 90_000 })
    .toMatch(/^Done\. Test accuracy/);
  expect(await fact(page, "training loss")).toBeLessThan(first);
  expect(await page.innerText("#training-facts")).not.toContain("left");
  expect(await page.locator("#live-blocks li").count()).toBe(3);
  expect(await page.innerText("#live-blocks li:first-child .numbers")).toMatch(
    /^alpha 0\.\d\d, beta 0\.\d\d$/,
  );
  expect(await page.locator("#answers li").count()).toBe(20);
  expect(await page.innerText("#answers-count")).toMatch(/^\d+ of these 20 are right, and \d+ of all 500\.$/);
  const accuracy = Number((await page.innerText("#answers-count")).match(/(\d+) of all/)?.[1]) / 5;
  expect(await fact(page, "test accuracy")).toBeCloseTo(accuracy, 1);
  await page.click("#answers-card summary >> nth=0");
  const counted = await page.locator("#confusion td").allInnerTexts();
  expect(counted.reduce((sum, text) => sum + Number(text), 0)).toBe(500);
  await page.setViewportSize({ width: 360, height: 640 });
  const beside = await page
    .locator("#confusion")
    .evaluate((table) => table.scrollWidth - (table.parentElement?.clientWidth ?? 0));
  expect(beside).toBeLessThanOrEqual(0);
  await page.click("#inside summary");
  await expect.poll(() => page.locator("#maps li").count()).toBe(6);
  expect(await page.locator("#filters canvas").count()).toBe(16);
  expect(await page.locator("#epochs-table tr").count()).toBe(3);
  const checkpoint = decodeCheckpoint(await downloaded(page, "#download-checkpoint", "checkpoint"));
  expect(checkpoint.trainable.has("stem.conv.weight")).toBe(true);
  const model = decodeModel(await downloaded(page, "#download-onnx", "trained-in-the-page.onnx"));
  expect(model.graph.outputs[0]?.name).toBe("logits");
  await page.click("#use-trained");
  await page.click("#tab-classify");
  await expect.poll(() => page.innerText("#model-facts")).toContain("ShakeNet 8 2x4d");
  const sum = async () => (await shownPercents(page)).reduce((a, b) => a + b);
  await expect.poll(sum).toBeGreaterThan(99);
  expect(errors).toEqual([]);
});

test("a device that is missing is one sentence, and a training on another device starts afterwards", async () => {
  const { page } = await demo.open();
  await choose(page, { width: "4", images: "500", epochs: "1", batchSize: "32", device: "webgpu" });
  await page.click("#start-training");
  await expect.poll(() => page.innerText("#error p")).toMatch(/^This browser .*WebGPU.*\.$/);
  expect(await page.isDisabled("#download-onnx")).toBe(true);
  expect(await page.isDisabled("#resume-training")).toBe(true);
  await choose(page, { device: "wasm" });
  await page.click("#start-training");
  await expect.poll(() => page.innerText("#training-status"), { timeout: 90_000 }).toMatch(/^Done\./);
  expect(await page.isVisible("#error")).toBe(false);
  expect(await page.isEnabled("#download-onnx")).toBe(true);
});

test("a stopped training resumes from its last step", async () => {
  const { page, errors } = await demo.open();
  await choose(page, { width: "4", images: "500", epochs: "4", batchSize: "32", device: "wasm" });
  await page.click("#start-training");
  await expect.poll(() => fact(page, "step")).toBeGreaterThan(3);
  await page.click("#stop-training");
  await expect.poll(() => page.innerText("#training-status")).toMatch(/^Stopped after step \d+/);
  const stopped = Number.parseInt((await page.innerText("#training-status")).replace(/\D+/, ""), 10);
  await page.click("#resume-training");
  await expect.poll(() => fact(page, "step")).toBeGreaterThan(stopped);
  await expect.poll(() => page.innerText("#training-status"), { timeout: 90_000 }).toMatch(/^Done\./);
  expect(errors).toEqual([]);
});

test("a training that is stopped before its code is loaded takes no step, and another one starts afterwards", async () => {
  const { page, errors } = await demo.open();
  await choose(page, { width: "4", images: "500", epochs: "1", batchSize: "32", device: "wasm" });
  await page.evaluate(() => {
    for (const id of ["start-training", "stop-training"])
      document.querySelector<HTMLButtonElement>(`#${id}`)?.click();
  });
  const status = () => page.innerText("#training-status");
  await expect.poll(status, { timeout: 60_000 }).toBe("Stopped after step 0.");
  expect(await page.isVisible("#error")).toBe(false);
  await page.click("#start-training");
  await expect.poll(status, { timeout: 90_000 }).toMatch(/^Done\./);
  expect(errors).toEqual([]);
});

test("a training can be stopped while WebGPU is prepared, which takes no step, and another one starts afterwards", async () => {
  const { page, errors } = await demo.open({ webgpu: true });
  await choose(page, { width: "4", images: "500", epochs: "1", batchSize: "32", device: "webgpu" });
  await page.click("#start-training");
  const status = () => page.innerText("#training-status");
  await expect.poll(status).toBe("Preparing WebGPU, which compiles its kernels first.");
  await page.click("#stop-training");
  // in software, the run under way takes most of a minute
  await expect.poll(status, { timeout: 400_000 }).toBe("Stopped after step 0.");
  expect(await page.innerText("#training-facts")).toBe("");
  expect(await page.isDisabled("#resume-training")).toBe(true);
  expect(await page.isDisabled("#download-onnx")).toBe(true);
  await choose(page, { device: "wasm" });
  await page.click("#start-training");
  await expect.poll(() => fact(page, "step"), { timeout: 60_000 }).toBeGreaterThan(0);
  expect(await status()).toBe("Training on WebAssembly: your choice.");
  expect(errors).toEqual([]);
}, 600_000);
