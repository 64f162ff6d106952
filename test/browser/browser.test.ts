import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBrowser, openPage, type StaticServer, serveFolders } from "../support/browser.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
let browser: Browser;
let plain: StaticServer;
let isolated: StaticServer;

beforeAll(async () => {
  mkdirSync(join(folder, "site"));
  writeFileSync(join(folder, "secret.txt"), "not served");
  writeFileSync(join(folder, "site/index.html"), "<title>page</title>");
  writeFileSync(
    join(folder, "site/bad.html"),
    "<script>console.error('first')</script><script>throw new Error('second')</script><img src=no.png>",
  );
  const folders = { "/": join(folder, "site"), "/bundle/": "node_modules/onnxruntime-web-training/dist" };
  [browser, plain, isolated] = await Promise.all([
    openBrowser({ webgpu: true }),
    serveFolders(folders),
    serveFolders(folders, { isolated: true }),
  ]);
});

afterAll(() => Promise.all([browser?.close(), plain?.close(), isolated?.close()]));

test("a page is cross-origin isolated, as threads need, only with the headers for it", async () => {
  for (const { origin } of [plain, isolated]) {
    const { page, errors } = await openPage(browser, origin);
    const state = await page.evaluate("[isSecureContext, crossOriginIsolated]");
    expect(state).toEqual([true, origin === isolated.origin]);
    expect(errors).toEqual([]);
  }
});

test("the browser gives a WebGPU device", async () => {
  const { page } = await openPage(browser, plain.origin);
  const run = `navigator.gpu.requestAdapter().then((adapter) => adapter.requestDevice()).then((device) => device.limits.maxBindGroups)`;
  expect(await page.evaluate(run)).toBeGreaterThan(3);
});

test("the exceptions, console errors and missing files of a page are collected", async () => {
  const { errors } = await openPage(browser, `${plain.origin}/bad.html`);
  const texts = errors.join("\n");
  for (const text of ["first", "second", "no.png"]) expect(texts).toContain(text);
});

test("WebAssembly gets its content type, and nothing outside the folders is served", async () => {
  const wasm = await fetch(`${plain.origin}/bundle/ort-training-wasm-simd-threaded.wasm`, { method: "HEAD" });
  expect(wasm.headers.get("content-type")).toBe("application/wasm");
  expect((await fetch(`${plain.origin}/..%2fsecret.txt`)).status).toBe(404);
});
