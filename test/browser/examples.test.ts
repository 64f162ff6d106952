import { join } from "node:path";
import { build } from "vite";
import { expect, test } from "vitest";
import { at } from "../../graph-builder/index.ts";
import { openBrowser, openPage, serveFolders } from "../support/browser.ts";
import { temporaryFolder } from "../support/shake.ts";

const site = join(temporaryFolder(), "site");

test("the page in twenty lines builds without a warning, and trains in the browser", async () => {
  const warnings: string[] = [];
  await build({
    configFile: false,
    root: "examples/page",
    logLevel: "silent",
    build: {
      outDir: site,
      chunkSizeWarningLimit: 2000,
      rolldownOptions: { onwarn: ({ message }) => warnings.push(message) },
    },
  });
  expect(warnings).toEqual([]);
  const server = await serveFolders({ "/": site });
  const browser = await openBrowser({ webgpu: false });
  try {
    const { page, errors } = await openPage(browser, server.origin);
    const lines = async () => (await page.innerText("#log")).trim().split("\n");
    await expect.poll(async () => (await lines()).length, { timeout: 120_000 }).toBe(3);
    const losses = (await lines()).map((line) => Number(JSON.parse(line).train_loss));
    expect(losses[2]).toBeLessThan(at(losses, 0));
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});
