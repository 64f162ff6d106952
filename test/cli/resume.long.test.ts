import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { shake, start, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const sharedFolder = temporaryFolder();
const flags = [...tinyRunFlags, "--epochs", "3", "--checkpoint-every-steps", "1"];

function digest(run: string, file: string): string {
  return createHash("sha256")
    .update(readFileSync(join(folder, run, file)))
    .digest("hex");
}

/** The metrics without what the clock says. */
function metrics(run: string): unknown[] {
  const lines = readFileSync(join(folder, run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => ({ ...JSON.parse(line), images_per_second: 0, seconds: 0 }));
}

function expectLikeWhole(run: string): void {
  for (const file of ["model.onnx", "checkpoints/last", "checkpoints/best"]) {
    expect(digest(run, file), `${run}/${file}`).toBe(digest("whole", file));
  }
  expect(metrics(run)).toEqual(metrics("whole"));
}

beforeAll(async () => {
  expect((await shake(folder, "train", ...flags, "--run-dir", "whole")).code).toBe(0);
});

describe("a run killed by SIGKILL goes on to the same bytes", () => {
  // from its first moment to its last: what counts is when the folder appears, not the clock
  test.each([0, 60, 250, 700, 1200])("%i ms after its folder is there", async (delay) => {
    const run = `killed-${delay}`;
    const { child, finished } = start(folder, "train", ...flags, "--run-dir", run);
    while (!existsSync(join(folder, run))) await sleep(2);
    await sleep(delay);
    child.kill("SIGKILL");
    await finished;
    expect((await shake(folder, "train", "--resume", run)).code).toBe(0);
    expectLikeWhole(run);
  });

  test("twice, with what killed writes leave behind", async () => {
    const run = "killed-twice";
    let { child, finished } = start(folder, "train", ...flags, "--run-dir", run);
    while (!existsSync(join(folder, run))) await sleep(2);
    await sleep(400);
    child.kill("SIGKILL");
    await finished;
    writeFileSync(
      join(folder, run, "checkpoints", ".0b6f1a2c-5d3e-4f60-8a71-92b3c4d5e6f7.tmp"),
      "half a checkpoint",
    );
    writeFileSync(join(folder, run, "graph", ".0b6f1a2c-5d3e-4f60-8a71-92b3c4d5e6f7.tmp"), "half a lock");
    ({ child, finished } = start(folder, "train", "--resume", run));
    await sleep(1200);
    child.kill("SIGKILL");
    await finished;
    expect((await shake(folder, "train", "--resume", run)).code).toBe(0);
    expectLikeWhole(run);
    expect(readdirSync(join(folder, run, "checkpoints"))).toEqual(["best", "last"]);
    expect(readdirSync(join(folder, run, "graph")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

test("a run of several steps a call, killed and resumed with calls of another size, goes on to the same bytes", async () => {
  const clipped = [...flags, "--clip-norm", "1"];
  const whole = await shake(folder, "train", ...clipped, "--steps-per-call", "8", "--run-dir", "chunks");
  expect(whole.code, whole.stderr).toBe(0);
  const { child, finished } = start(
    folder,
    "train",
    ...clipped,
    ...["--steps-per-call", "4", "--run-dir", "cut-chunks"],
  );
  while (!existsSync(join(folder, "cut-chunks/metrics.jsonl"))) await sleep(2);
  child.kill("SIGKILL");
  await finished;
  expect((await shake(folder, "train", "--resume", "cut-chunks", "--steps-per-call", "3")).code).toBe(0);
  for (const file of ["model.onnx", "checkpoints/last"])
    expect(digest("cut-chunks", file), file).toBe(digest("chunks", file));
});

test.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const)(
  "%s finishes the step, saves it, says how to go on, and exits with 130",
  async (signal) => {
    const { child, finished } = start(folder, "train", ...flags, "--epochs", "40", "--run-dir", signal);
    while (!existsSync(join(folder, signal, "metrics.jsonl"))) await sleep(20);
    child.kill(signal);
    const { code, stderr } = await finished;
    expect(code).toBe(130);
    const [, step] =
      /Stopped after step (\d+), which is saved\. To go on:\n {2}node \S+ train --resume SIG\w+\n$/.exec(
        stderr,
      ) ?? [];
    const { stdout } = await shake(folder, "inspect", `${signal}/checkpoints/last`, "--json");
    expect(JSON.parse(stdout).properties.step).toBe(Number(step));
    expect(existsSync(join(folder, signal, "model.onnx"))).toBe(false);
  },
);

test("SIGUSR1 while a run is prepared ends it as SIGTERM does, and opens no debugger", async () => {
  // so many pictures are drawn for some seconds
  const { child, finished } = start(
    folder,
    "train",
    ...flags,
    ...["--train-limit", "200000", "--run-dir", "early"],
  );
  await sleep(1500);
  child.kill("SIGUSR1");
  const { stderr } = await finished;
  expect(stderr).not.toContain("Debugger");
  expect(child.signalCode).toBe("SIGTERM");
  expect(existsSync(join(folder, "early"))).toBe(false);
});

test("a run that is done is left as it is by --resume", async () => {
  const before = digest("whole", "model.onnx");
  const { code } = await shake(folder, "train", "--resume", "whole");
  expect(code).toBe(0);
  expect(digest("whole", "model.onnx")).toBe(before);
});

test("the model of a run that was extended has the commands that train it again", async () => {
  const elsewhere = temporaryFolder();
  // another number of threads gives other bits, and is no setting of the computation
  const short = [...tinyRunFlags.slice(0, -2), "--epochs", "1", "--run-dir", "extended"];
  expect((await shake(folder, "train", ...short)).code).toBe(0);
  expect((await shake(folder, "train", "--resume", "extended", "--epochs", "2")).code).toBe(0);
  const { stdout } = await shake(folder, "inspect", join("extended", "model.onnx"), "--json");
  const { command } = JSON.parse(stdout).metadata;
  expect(command).toMatch(/ --epochs 1 .*--run-dir (\S+) && shake train --resume \1 --epochs 2$/);
  for (const each of command.split(" && ")) {
    expect((await shake(elsewhere, ...each.split(" ").slice(1))).code).toBe(0);
  }
  const again = readFileSync(join(elsewhere, "runs", "repeated", "model.onnx"));
  expect(again.equals(readFileSync(join(folder, "extended", "model.onnx")))).toBe(true);
});

test("flags that contradict the run are refused by name, those that say where are not", async () => {
  const refused = await shake(folder, "train", "--resume", "whole", "--batch-size", "32");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toBe(
    "shake: --batch-size 32 contradicts whole, which has batch-size 16: leave it out.\n",
  );
  const unsaid = await shake(folder, "train", "--resume", "whole", "--label-smoothing", "0.3");
  expect(unsaid.stderr).toBe(
    "shake: --label-smoothing 0.3 contradicts whole, which has label-smoothing 0: leave it out.\n",
  );
  const moved = await shake(folder, "train", "--resume", "whole", "--run-dir", "elsewhere");
  expect(moved.stderr).toBe(
    "shake: --run-dir elsewhere does not go with --resume whole: a run stays in its folder.\n",
  );
  const config = join(folder, "whole/config.json");
  const settings = readFileSync(config, "utf8");
  writeFileSync(config, settings.replace(/"seed": \d+/, '"seed": 77'));
  const edited = await shake(folder, "train", "--resume", "whole");
  writeFileSync(config, settings);
  expect(edited).toMatchObject({ code: 2, stdout: "" });
  expect(edited.stderr).toMatch(
    /^shake: seed in whole\/config\.json is 77, and the graph of the run was built with \d+: set it back, or begin a new run\.\n$/,
  );
  expect((await shake(folder, "train", "--resume", "whole", "--label-smoothing", "0")).code).toBe(0);
  expect((await shake(folder, "train", "--resume", "whole", "--threads", "2")).code).toBe(0);
});

test("a folder that is no run, and a damaged or foreign checkpoint, are refused in one sentence", async () => {
  const none = await shake(folder, "train", "--resume", "nowhere");
  expect(none).toMatchObject({
    code: 2,
    stderr: "shake: nowhere is not the folder of a run: it has no config.json.\n",
  });
  const whole = readFileSync(join(folder, "whole/checkpoints/last"));
  expect((await shake(folder, "train", ...flags, "--epochs", "1", "--run-dir", "damaged")).code).toBe(0);
  // with a sound checkpoint beside it, the run would go on from there
  rmSync(join(folder, "damaged/checkpoints/best"));
  const path = join(folder, "damaged/checkpoints/last");
  for (const bytes of [
    whole.subarray(0, whole.length / 2),
    readFileSync(join(folder, "whole/model.onnx")),
    Buffer.alloc(0),
  ]) {
    writeFileSync(path, bytes);
    const { code, stderr } = await shake(folder, "train", "--resume", "damaged");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^shake: damaged\/checkpoints\/last is not a sound ONNX Runtime checkpoint \([^\n]*\); use another copy of it\.\n$/,
    );
    expect(readFileSync(path).equals(bytes)).toBe(true);
  }
});

test("a run that another process trains is refused in one sentence, and loses nothing", async () => {
  const run = "live";
  const { child, finished } = start(folder, "train", ...flags, "--run-dir", run);
  while (!existsSync(join(folder, run, "metrics.jsonl"))) await sleep(5);
  child.kill("SIGSTOP");
  const second = await shake(folder, "train", "--resume", run);
  child.kill("SIGCONT");
  expect(second.code).toBe(2);
  expect(second.stderr).toMatch(
    new RegExp(`live is in use by process ${child.pid} on .*: wait until it ends`),
  );
  expect((await finished).code).toBe(0);
  expectLikeWhole(run);
});

test("three runs that start at once without --run-dir get three folders", async () => {
  const started = [1, 2, 3].map(() => start(sharedFolder, "train", ...tinyRunFlags, "--epochs", "1"));
  const results = await Promise.all(started.map(({ finished }) => finished));
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
  const runs = readdirSync(join(sharedFolder, "runs"));
  expect(runs).toHaveLength(3);
  for (const run of runs) expect(readdirSync(join(sharedFolder, "runs", run))).not.toContain(".lock");
});

test("an empty folder that was made beforehand is a good run folder", async () => {
  mkdirSync(join(folder, "made"));
  const { code } = await shake(folder, "train", ...flags, "--run-dir", "made");
  expect(code).toBe(0);
  expectLikeWhole("made");
});
