import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vite";
import { loweringNames } from "../../graph-builder/index.ts";
import { openBrowser, openPage, serveFolders } from "../../test/support/browser.ts";
import { describeSpread } from "../compare/statistics.ts";
import type { Measured, Subject } from "./page.ts";

const sources = fileURLToPath(new URL("../../../bench/webgpu/", import.meta.url));

/**
 * Measures training steps on WebGPU in Chromium, by several lowerings in turns, and prints a line for each:
 * `main.js --depth 14 --width 16 --batch 32 --rounds 5 portable webgpu`. The adapter is a software one
 * unless `--graphics-card` is given.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      depth: { type: "string", default: "14" },
      width: { type: "string", default: "16" },
      batch: { type: "string", default: "32" },
      rounds: { type: "string", default: "5" },
      "graphics-card": { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((name) => !loweringNames.some((known) => known === name));
  if (unknown !== undefined)
    throw new RangeError(`there is no lowering ${unknown}: ${loweringNames.join(", ")}`);
  const named = loweringNames.filter((name) => positionals.includes(name));
  const subject: Subject = {
    depth: Number(values.depth),
    width: Number(values.width),
    batch: Number(values.batch),
    lowerings: named.length > 0 ? named : ["portable", "webgpu"],
  };
  const rounds = Number(values.rounds);
  const folder = await mkdtemp(join(tmpdir(), "shake-webgpu-"));
  const outDir = join(folder, "site");
  await build({ configFile: false, root: sources, logLevel: "error", build: { outDir, target: "es2022" } });
  const server = await serveFolders({ "/": outDir });
  const browser = await openBrowser({ webgpu: values["graphics-card"] ? "graphics-card" : "software" });
  try {
    const { page } = await openPage(browser, server.origin);
    const { length, 0: cpu } = cpus();
    console.log(`Chromium ${browser.version()}, ${length} cores of ${cpu?.model}, n = ${rounds}`);
    const call = `measure(${JSON.stringify(subject)}, ${rounds})`;
    const measured: Measured[] = await page.evaluate(call);
    for (const { lowering, warmUp, steps, losses } of measured) {
      console.log(
        `${lowering.padEnd(10)} step ${describeSpread(steps, 0)} ms, warm-up ${warmUp.toFixed(0)} ms, last loss ${losses.at(-1)}`,
      );
    }
  } finally {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
}

await main();
