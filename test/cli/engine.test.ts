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
import { shake, start, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const root = fileURLToPath(new URL("../..", import.meta.url));
// at a low rate twelve steps do not magnify what the engines round differently
const flags = [...tinyRunFlags, "--width", "4", "--learning-rate", "0.01"];
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

function expectAlike(run: string, reference: string): void {
  const [lines, others] = [metrics(run), metrics(reference)];
  expect(lines.map(({ epoch }) => epoch)).toEqual([1, 2]);
  for (const [i, line] of lines.entries()) {
    expect(line.train_loss).toBeCloseTo(others[i]?.train_loss ?? Number.NaN, 3);
    expect(line.test_loss).toBeCloseTo(others[i]?.test_loss ?? Number.NaN, 3);
    // one of 40 pictures may stand on the line between two classes
    expect(Math.abs(line.test_accuracy - (others[i]?.test_accuracy ?? Number.NaN))).toBeLessThanOrEqual(2.5);
  }
}

/** Trains until the first checkpoint inside the run, and stops as Ctrl-C does. */
async function interrupted(run: string, ...more: string[]): Promise<void> {
  const { child, finished } = start(folder, "train", ...flags, ...more, "--run-dir", run);
  while (!existsSync(join(folder, run, "metrics.jsonl"))) await sleep(5);
  child.kill("SIGINT");
  const { code, stderr } = await finished;
  expect(code, stderr).toBe(130);
  expect(stderr).toContain(`npx shake train --resume ${run}`);
}

beforeAll(async () => {
  expect((await shake(folder, "train", ...flags, "--run-dir", "default")).code).toBe(0);
  const { code, stderr } = await shake(folder, "train", ...flags, ...ort, "--run-dir", "own");
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("ONNX Runtime 1.19.2");
}, 120_000);

test("ONNX Runtime's own training comes to what the default engine comes to", async () => {
  expectAlike("own", "default");
  expect(readdirSync(join(folder, "own/graph")).sort()).toEqual([
    "eval_model.onnx",
    "manifest.json",
    "training_model.onnx",
  ]);
  const evaluation = await shake(folder, "eval", "--run", "own", "--json");
  expect(JSON.parse(evaluation.stdout).accuracy).toBeCloseTo(metrics("own")[1]?.test_accuracy ?? 0, 5);
});

test("two threads train alike, and the process ends", async () => {
  const { code } = await shake(folder, "train", ...flags, ...ort, "--threads", "2", "--run-dir", "threads");
  expect(code).toBe(0);
  expectAlike("threads", "default");
});

test("a run that was stopped by Ctrl-C goes on to the same bytes", async () => {
  // so long that it cannot be done before the signal arrives
  const long = [...ort, "--epochs", "30"];
  await interrupted("cut", ...long);
  expect(existsSync(join(folder, "cut/model.onnx"))).toBe(false);
  await shake(folder, "train", "--resume", "cut");
  await shake(folder, "train", ...flags, ...long, "--run-dir", "uncut");
  for (const file of ["model.onnx", "checkpoints/last"]) {
    expect(
      readFileSync(join(folder, "cut", file)).equals(readFileSync(join(folder, "uncut", file))),
      file,
    ).toBe(true);
  }
}, 120_000);

test.each([
  { from: "onnxruntime", to: "ort-training" },
  { from: "ort-training", to: "onnxruntime" },
])("a run of $from goes on with $to, in the folder's own layout", async ({ from, to }) => {
  const run = `from-${from}`;
  await shake(folder, "train", ...flags, "--engine", from, "--run-dir", run);
  // back to where the first epoch ended, which is the best checkpoint so far
  const half = `half-${from}`;
  const { child, finished } = start(
    folder,
    ...["train", ...flags, "--engine", from, "--checkpoint-every-steps", "1", "--run-dir", half],
  );
  while (!existsSync(join(folder, half, "metrics.jsonl"))) await sleep(1);
  child.kill("SIGKILL");
  await finished;
  const files = readdirSync(join(folder, half, "graph"));
  const { code, stderr } = await shake(folder, "train", "--resume", half, "--engine", to);
  expect(code, stderr).toBe(0);
  expectAlike(half, run);
  expect(readdirSync(join(folder, half, "graph"))).toEqual(files);
  expect(JSON.parse(readFileSync(join(folder, half, "config.json"), "utf8")).engine).toBe(from);
  expect((await shake(folder, "train", "--resume", half, "--engine", from)).code).toBe(0);
  expect((await shake(folder, "eval", "--run", half)).code).toBe(0);
});

test("a device other than the CPU and an unknown engine are refused in one sentence", async () => {
  expect(await shake(folder, "train", ...flags, ...ort, "--device", "wasm", "--run-dir", "no")).toMatchObject(
    {
      code: 2,
      stderr: "shake: --engine ort-training trains on the CPU, not on wasm: say --device cpu.\n",
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
