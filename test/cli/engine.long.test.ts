import { execFile } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { printedShake, shake, start, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const root = fileURLToPath(new URL("../..", import.meta.url));
// at a low rate twelve steps do not magnify what the engines round differently
const flags = [...tinyRunFlags, "--width", "4", "--learning-rate", "0.01"];
const long = [...flags, "--epochs", "12"];
const ort = ["--engine", "ort-training"];

interface Line {
  readonly epoch: number;
  readonly train_loss: number;
  readonly train_accuracy: number;
  readonly test_loss: number;
  readonly test_accuracy: number;
}

function metrics(run: string): Line[] {
  const lines = readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line) as Line);
}

function expectAlike(line: Line | undefined, other: Line | undefined): void {
  expect(line?.epoch).toBe(other?.epoch);
  expect(line?.train_loss).toBeCloseTo(other?.train_loss ?? Number.NaN, 3);
  expect(line?.test_loss).toBeCloseTo(other?.test_loss ?? Number.NaN, 3);
  // one of 40 pictures may stand on the line between two classes
  expect(Math.abs((line?.test_accuracy ?? 0) - (other?.test_accuracy ?? 0))).toBeLessThanOrEqual(2.5);
}

async function succeed(...args: string[]): Promise<string> {
  const { code, stderr } = await shake(folder, ...args);
  expect(code, stderr).toBe(0);
  return stderr;
}

/** Trains for an epoch of many, and stops as Ctrl-C does. */
async function interrupted(run: string, engine: string): Promise<void> {
  const { child, finished } = start(folder, "train", ...long, "--engine", engine, "--run-dir", run);
  while (!existsSync(join(folder, run, "metrics.jsonl"))) await sleep(5);
  child.kill("SIGINT");
  const { code, stderr } = await finished;
  expect(code, stderr).toBe(130);
  expect(stderr).toContain(`${printedShake} train --resume ${run}`);
  expect(existsSync(join(folder, run, "model.onnx"))).toBe(false);
}

beforeAll(async () => {
  await succeed("train", ...flags, "--run-dir", "default");
  expect(await succeed("train", ...flags, ...ort, "--run-dir", "own")).toContain("ONNX Runtime 1.19.2");
  for (const engine of ["onnxruntime", "ort-training"]) {
    await succeed("train", ...long, "--engine", engine, "--run-dir", `long-${engine}`);
  }
}, 120_000);

test("ONNX Runtime's own training comes to what the default engine comes to", async () => {
  for (const epoch of [0, 1]) expectAlike(metrics("own")[epoch], metrics("default")[epoch]);
  expect(metrics("own")).toHaveLength(2);
  expect(readdirSync(join(folder, "own/graph")).sort()).toEqual([
    "eval_model.onnx",
    "manifest.json",
    "training_model.onnx",
  ]);
  const evaluation = await shake(folder, "eval", "--run", "own", "--json");
  expect(JSON.parse(evaluation.stdout).accuracy).toBeCloseTo(metrics("own")[1]?.test_accuracy ?? 0, 5);
});

test("two threads train alike, and the process ends", async () => {
  await succeed("train", ...flags, ...ort, "--threads", "2", "--run-dir", "threads");
  for (const epoch of [0, 1]) expectAlike(metrics("threads")[epoch], metrics("default")[epoch]);
});

test("a run that was stopped by Ctrl-C goes on to the same bytes", async () => {
  await interrupted("cut", "ort-training");
  await succeed("train", "--resume", "cut");
  for (const file of ["model.onnx", "checkpoints/last"]) {
    const [cut, whole] = ["cut", "long-ort-training"].map((run) => readFileSync(join(folder, run, file)));
    expect(cut?.equals(whole ?? new Uint8Array()), file).toBe(true);
  }
});

test.each([
  { from: "onnxruntime", to: "ort-training" },
  { from: "ort-training", to: "onnxruntime" },
])("a run of $from goes on with $to, and its folder keeps its layout", async ({ from, to }) => {
  const run = `from-${from}`;
  await interrupted(run, from);
  const epochs = metrics(run).length;
  const files = readdirSync(join(folder, run, "graph"));
  await succeed("train", "--resume", run, "--engine", to);
  expect(metrics(run)).toHaveLength(12);
  expectAlike(metrics(run)[epochs], metrics(`long-${from}`)[epochs]);
  expect(readdirSync(join(folder, run, "graph"))).toEqual(files);
  await succeed("train", "--resume", run, "--engine", from);
  await succeed("eval", "--run", run);
});

test("a device other than the CPU and an unknown engine are refused in one sentence", async () => {
  expect(await shake(folder, "train", ...flags, ...ort, "--device", "wasm", "--run-dir", "no")).toMatchObject(
    {
      code: 2,
      stderr: "shake: --engine ort-training trains on the CPU, not on wasm: give --device cpu.\n",
    },
  );
  const unknown = await shake(folder, "train", ...flags, "--engine", "ort-trainin", "--run-dir", "no");
  expect(unknown).toMatchObject({
    code: 2,
    stderr:
      "shake: --engine must be one of onnxruntime, ort-training, not ort-trainin. Did you mean ort-training?\n",
  });
  expect(existsSync(join(folder, "no"))).toBe(false);
});

test("a project without the optional package says how to get it", async () => {
  const bare = join(folder, "bare");
  mkdirSync(join(bare, "node_modules"), { recursive: true });
  cpSync(join(root, "dist"), join(bare, "dist"), { recursive: true });
  writeFileSync(join(bare, "package.json"), JSON.stringify({ type: "module" }));
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name === "onnxruntime-web-training") continue;
    symlinkSync(join(root, "node_modules", name), join(bare, "node_modules", name));
  }
  const train = (...args: string[]) =>
    new Promise<{ code: number; stderr: string }>((resolve) => {
      const file = join(bare, "dist/cli/main.js");
      execFile(process.execPath, [file, "train", ...flags, ...args], { cwd: bare }, (error, _, stderr) =>
        resolve({ code: typeof error?.code === "number" ? error.code : 0, stderr }),
      );
    });
  expect(await train(...ort)).toEqual({
    code: 2,
    stderr:
      "shake: ONNX Runtime's own training is not installed: npm install onnxruntime-web-training@npm:onnxruntime-web@1.19.2.\n",
  });
  expect(existsSync(join(bare, "runs"))).toBe(false);
  expect((await train("--epochs", "1")).code).toBe(0);
  rmSync(bare, { recursive: true });
});
