import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { dyingReplica } from "../support/dying-replica.ts";
import { shake, shakeWith, start, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const flags = ["train", ...tinyRunFlags, "--replicas", "2"];
const read = (run: string, file: string) => readFileSync(join(folder, run, file));

test("two replicas train a run that evaluates to what it says", async () => {
  const trained = await shake(folder, ...flags, "--run-dir", "whole", "--json");
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stderr).toMatch(/device +cpu, 2 replicas/);
  const { test_accuracy } = JSON.parse(trained.stdout);
  const evaluated = await shake(folder, "eval", "--run", "whole", "--json");
  expect(JSON.parse(evaluated.stdout).accuracy).toBeCloseTo(test_accuracy, 5);
});

test("a run of two replicas that was stopped by Ctrl-C goes on to the same bytes", async () => {
  const { child, finished } = start(folder, ...flags, "--run-dir", "cut");
  while (!childHasSteps("cut")) await sleep(20);
  child.kill("SIGINT");
  // null where the signal came before the first step
  expect([0, 130, null]).toContain((await finished).code);
  const resumed = await shake(folder, "train", "--resume", "cut");
  expect(resumed.code, resumed.stderr).toBe(0);
  for (const file of ["model.onnx", "checkpoints/last"])
    expect(read("cut", file)).toEqual(read("whole", file));
});

function childHasSteps(run: string): boolean {
  try {
    return read(run, "checkpoints/last").length > 0;
  } catch {
    return false;
  }
}

test("a run one of whose replicas dies in the middle of a step fails with its name, and can go on to the same bytes", async () => {
  const preload = { NODE_OPTIONS: `--import=${dyingReplica("train", "exit")}` };
  const died = await shakeWith(
    preload,
    folder,
    ...[...flags, "--checkpoint-every-steps", "1", "--run-dir", "died"],
  );
  expect(died.code, died.stderr).toBe(1);
  expect(died.stderr).toMatch(/Replica \d of 2 ended with exit code 7/);
  expect(died.stderr).toMatch(/to go on: node \S+main\.js train --resume died/);
  expect(decodeCheckpoint(read("died", "checkpoints/last")).properties.get("step")).toBe(2n);
  const resumed = await shake(folder, "train", "--resume", "died");
  expect(resumed.code, resumed.stderr).toBe(0);
  for (const file of ["model.onnx", "checkpoints/last"])
    expect(read("died", file)).toEqual(read("whole", file));
});

test("a run keeps its number of replicas", async () => {
  const { code, stderr } = await shake(folder, "train", "--resume", "whole", "--replicas", "1");
  expect(code).toBe(2);
  expect(stderr).toMatch(/--replicas 1 contradicts whole, which has replicas 2/);
});
