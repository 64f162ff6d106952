import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBrowser, openPage, type StaticServer, serveFolders } from "../support/browser.ts";
import { temporaryFolder } from "../support/shake.ts";

/** Bytes of a batch of four, as they are fed. */
const batchBytes = { shakenet: 4 * 3072 + 4 * 8 + 2 * 4 * 3 * 4, perceptron: 4 * 32 * 4 + 4 * 8 } as const;

interface Steps {
  readonly losses: readonly number[];
  readonly written: number;
  readonly read: number;
  readonly buffers: number;
  readonly pipelines: number;
}

const site = join(temporaryFolder(), "site");
let browser: Browser;
let server: StaticServer;

beforeAll(async () => {
  const options = { outDir: site, chunkSizeWarningLimit: 2000 };
  await build({ configFile: false, root: "test/browser/device-state", logLevel: "silent", build: options });
  [browser, server] = await Promise.all([openBrowser({ webgpu: true }), serveFolders({ "/": site })]);
});

afterAll(() => Promise.all([browser?.close(), server?.close()]));

async function openSession(device: "wasm" | "webgpu", subject: keyof typeof batchBytes) {
  const { page, errors } = await openPage(browser, server.origin);
  await page.waitForFunction("globalThis.release");
  const bytes: number = await page.evaluate(`open("${device}", "${subject}")`);
  return { page, errors, bytes };
}

const train = (page: Page, first: number, count: number): Promise<Steps> =>
  page.evaluate(`train(${first}, ${count})`);

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBeGreaterThan(0);
  expect(actual.length).toBe(expected.length);
  const apart = actual.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN)));
  expect(Math.max(...apart)).toBeLessThan(tolerance);
}

test.each([
  ["perceptron", 195],
  ["shakenet", 2],
] as const)(
  "on WebGPU a %s learns what it learns in WebAssembly, a step moves its batch and hardly a byte more, and no buffer is left behind in %i steps",
  async (subject, steps) => {
    const [gpu, wasm] = [await openSession("webgpu", subject), await openSession("wasm", subject)];
    for (const { page } of [gpu, wasm]) await train(page, 0, 2);
    for (const name of ["evaluate", "parameters", "momentum"] as const) {
      const [actual, expected] = await Promise.all(
        [gpu, wasm].map(({ page }): Promise<number | number[]> => page.evaluate(`${name}()`)),
      );
      expectClose([actual ?? []].flat(), [expected ?? []].flat(), 1e-3);
    }
    // a read moves the state to JavaScript's memory, from where the next step takes it
    const [actual, expected] = [await train(gpu.page, 2, 2), await train(wasm.page, 2, 2)];
    expectClose(actual.losses, expected.losses, 1e-3);
    const later = await train(gpu.page, 4, steps);
    expect(later.written / steps).toBeLessThan(batchBytes[subject] + 0.01 * gpu.bytes);
    expect(later.read / steps).toBeLessThan(0.01 * gpu.bytes);
    expect(later.buffers - actual.buffers).toBeLessThan(10);
    for (const { page, errors } of [gpu, wasm]) {
      await page.evaluate("release()");
      expect(errors).toEqual([]);
    }
  },
  600_000,
);

test.each(["perceptron", "shakenet"] as const)(
  "on WebGPU a warm-up compiles all kernels of a %s before its first step, and leaves the training as it was, bit for bit",
  async (subject) => {
    const [warm, cold] = [await openSession("webgpu", subject), await openSession("webgpu", subject)];
    const state = ({ page }: typeof warm): Promise<number[]> => page.evaluate("state()");
    const before = await state(warm);
    const rehearse = (step: number): Promise<number> => warm.page.evaluate(`warmUp(${step})`);
    expect(await rehearse(7)).toBeGreaterThan(0);
    expect(await state(warm)).toEqual(before);
    const first = await train(warm.page, 0, 1);
    expect(first.pipelines).toBe(0);
    const { losses, pipelines } = await train(cold.page, 0, 1);
    expect(first.losses).toEqual(losses);
    expect(pipelines).toBeGreaterThan(0);
    expect(await state(warm)).not.toEqual(before);
    // also where the state is in the memory of the device
    expect([await rehearse(8), (await train(warm.page, 1, 1)).losses]).toEqual([
      0,
      (await train(cold.page, 1, 1)).losses,
    ]);
    expect(await state(warm)).toEqual(await state(cold));
    for (const { page, errors } of [warm, cold]) {
      await page.evaluate("release()");
      expect(errors).toEqual([]);
    }
  },
  600_000,
);

interface Placement {
  readonly provider: string;
  readonly count: number;
  /** Their operators; none where all nodes of the model have one provider. */
  readonly operators: string[];
}

/** Which provider has which nodes of each model, by ONNX Runtime's log. */
function placements(lines: readonly string[]): Placement[][] {
  const models: Placement[][] = [];
  for (const line of lines.filter((text) => text.includes("VerifyEachNodeIsAssignedToAnEp"))) {
    const [, provider, count] = /placed on \[(\w+)\]\. Number of nodes: (\d+)/.exec(line) ?? [];
    const [, operator] = /\] {2,}(\w+) \(/.exec(line) ?? [];
    if (line.endsWith("Node placements")) models.push([]);
    if (provider) models.at(-1)?.push({ provider, count: Number(count), operators: [] });
    if (operator) models.at(-1)?.at(-1)?.operators.push(operator);
  }
  return models;
}

test("no node of a ShakeNet's training step waits on the processor for the graphics card", async () => {
  const { page } = await openPage(browser, server.origin);
  const lines: string[] = [];
  page.on("console", (message) => lines.push(message.text()));
  await page.waitForFunction("globalThis.release");
  await page.evaluate(`open("webgpu", "shakenet", 0)`);
  await page.evaluate("release()");
  const models = placements(lines);
  const on = (name: string) =>
    models.map((model) => model.find(({ provider }) => provider === `${name}ExecutionProvider`));
  expect(on("WebGpu").map((placement) => (placement?.count ?? 0) > 50)).toEqual([true, true, true]);
  // a copy to the processor would be MemcpyToHost: what is there reads feeds, or the size of the batch
  const copies = on("WebGpu").map((placement) => placement?.operators.includes("MemcpyToHost"));
  expect(copies).toEqual([false, false, false]);
  const onProcessor = on("CPU").map((placement) => [...new Set(placement?.operators)].sort());
  expect(onProcessor).toEqual([["Cast", "Gather", "OneHot"], ["Cast", "Gather", "OneHot"], []]);
});
