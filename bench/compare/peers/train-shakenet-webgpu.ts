// trains with this project on WebGPU in Chromium: train-shakenet-webgpu.js FOLDER
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { openBrowser, openPage, serveFolders } from "../../../test/support/browser.ts";
import { serve } from "./protocol.ts";
import type { Turn } from "./steps.ts";

const [folder = ""] = process.argv.slice(2);
const site = join(folder, "page");
const sources = fileURLToPath(new URL("../../../../bench/compare/peers/", import.meta.url));
await build({
  configFile: false,
  root: sources,
  logLevel: "error",
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"] },
  build: {
    outDir: site,
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: { input: join(sources, "webgpu.html") },
  },
});
const onnxruntime = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
const { origin } = await serveFolders(
  { "/": site, "/workload/": folder, "/onnxruntime/": onnxruntime },
  { isolated: true },
);
const browser = await openBrowser({ webgpu: true });
const { page, errors } = await openPage(browser, `${origin}/webgpu.html`);
const machine: string = await page.evaluate(`openSession("/workload", "/onnxruntime")`);

await serve(`${machine}, Chromium ${browser.version()}`, async (steps) => {
  const turn: Turn = await page.evaluate(`train(${steps})`);
  if (errors.length > 0) throw new Error(`error in the page: ${errors[0]}`);
  return { ...turn, peak_rss_mb: chromiumPeak() };
});

/** The sum of the peak memory of Chromium's processes, in MB; undefined on other systems than Linux. */
function chromiumPeak(): number | undefined {
  if (process.platform !== "linux") return undefined;
  const numbers = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  const processes = numbers.map(readStatus);
  const family = new Set([String(process.pid)]);
  // a child has a larger pid than its parent, unless the pids wrapped around
  for (const { pid, parent } of processes) if (family.has(parent)) family.add(pid);
  family.delete(String(process.pid));
  const peaks = processes.filter(({ pid }) => family.has(pid)).map(({ peakKb }) => peakKb);
  return (1024 * peaks.reduce((sum, peak) => sum + peak, 0)) / 1e6;
}

/** Reads the status of a process. A process that ended meanwhile gets parent 0 and peak 0. */
function readStatus(pid: string): { pid: string; parent: string; peakKb: number } {
  let status = "";
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {}
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? "0";
  return { pid, parent: field("PPid"), peakKb: Number(field("VmHWM")) };
}
