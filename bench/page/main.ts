import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { openBrowser } from "../../test/support/browser.ts";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { packagedModel } from "../../web/site/site-model.ts";
import { describeSpread } from "../compare/statistics.ts";

/** How often each thing is measured, and the frames of a measured training. */
const [ROUNDS, FRAMES] = [5, 600];

/** Measures the built page in Chromium, and prints a line for each thing. */
async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shake-page-"));
  await buildSite(folder, await packagedModel());
  const server = await serveSite(folder, { port: 0 });
  const browser = await openBrowser();
  try {
    const { length, 0: cpu } = cpus();
    console.log(`${browser.version()}, ${length} cores of ${cpu?.model}, n = ${ROUNDS}`);
    const busy: number[] = [];
    const answers: number[] = [];
    const trainings: MeasuredTraining[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      busy.push(await busyPercent());
      answers.push(await secondsToAnswer(browser, server.origin));
      trainings.push(await framesOfTraining(browser, server.origin));
    }
    console.log(`cores busy beforehand   ${describeSpread(busy, 1)} %`);
    console.log(`first answer, cold      ${describeSpread(answers, 1)} s`);
    console.log(
      `median frame, training  ${describeSpread(
        trainings.map(({ median }) => median),
        1,
      )} ms`,
    );
    console.log(
      `longest, first second   ${describeSpread(
        trainings.map(({ longestAtFirst }) => longestAtFirst),
        1,
      )} ms`,
    );
    console.log(
      `longest, afterwards     ${describeSpread(
        trainings.map(({ longestLater }) => longestLater),
        1,
      )} ms`,
    );
    console.log(
      `steps a second          ${describeSpread(
        trainings.map(({ stepsPerSecond }) => stepsPerSecond),
        1,
      )}`,
    );
  } finally {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
}

/**
 * How much of the cores other programs take in a second, in percent: frames are long where they take much.
 */
async function busyPercent(): Promise<number> {
  const times = () => cpus().map(({ times: { idle, ...busy } }) => [idle, sum(Object.values(busy))] as const);
  const before = times();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const after = times();
  const grown = (place: 0 | 1) => sum(after.map((all) => all[place])) - sum(before.map((all) => all[place]));
  return (100 * grown(1)) / (grown(0) + grown(1));
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Seconds from the navigation to the first answer, with an empty cache. */
async function secondsToAnswer(browser: Browser, origin: string): Promise<number> {
  const page = await browser.newPage();
  const start = performance.now();
  await page.goto(origin);
  await waitFor(async () => (await page.textContent("#timing")) !== "");
  const seconds = (performance.now() - start) / 1000;
  await page.close();
  return seconds;
}

/** The times between the frames of a training, in milliseconds, and its speed. */
interface MeasuredTraining {
  readonly median: number;
  /** In the second after the first step, in which the browser still optimises ONNX Runtime's code. */
  readonly longestAtFirst: number;
  readonly longestLater: number;
  readonly stepsPerSecond: number;
}

/** Trains the page's default network on shapes, and measures frames from its first step on. */
async function framesOfTraining(browser: Browser, origin: string): Promise<MeasuredTraining> {
  const page = await browser.newPage();
  await page.goto(`${origin}/#train`);
  await waitFor(async () => (await page.textContent("#timing")) !== "");
  await page.selectOption("#train-form [name=device]", "wasm");
  await page.click("#start-training");
  await waitFor(async () => (await stepOf(page)) > 0);
  const first = await stepOf(page);
  const times = await frameTimes(page);
  const stepsPerSecond = ((await stepOf(page)) - first) / (sum(times) / 1000);
  await page.close();
  const sorted = times.toSorted((a, b) => a - b);
  let passed = 0;
  const isEarly = times.map((time) => {
    passed += time;
    return passed - time < 1000;
  });
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    longestAtFirst: Math.max(...times.filter((_, i) => isEarly[i])),
    longestLater: Math.max(...times.filter((_, i) => !isEarly[i])),
    stepsPerSecond,
  };
}

/** The step that the page shows; 0 before the first. */
async function stepOf(page: Page): Promise<number> {
  const [, step = "0"] = (await page.textContent("#training-facts"))?.match(/step(\d+) of/) ?? [];
  return Number(step);
}

function frameTimes(page: Page): Promise<number[]> {
  return page.evaluate(async (frames) => {
    const times: number[] = [];
    let last = performance.now();
    for (let i = 0; i < frames; i++) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    return times;
  }, FRAMES);
}

async function waitFor(isThere: () => Promise<boolean>): Promise<void> {
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 10));
}

await main();
