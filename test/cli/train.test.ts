import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { decodeModel } from "../../graph-builder/index.ts";
import { openRun } from "../../shakenet/node/run.ts";
import { type Finished, printedShake, shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const run = join(folder, "runs/8-2x2d-shapes-s1");
let trained: Finished;

beforeAll(async () => {
  trained = await shake(folder, "train", ...tinyRunFlags);
});

test("inspect --branches measures every block of a run, and refuses what is no run of a ShakeNet", async () => {
  const path = "runs/8-2x2d-shapes-s1";
  const { code, stdout } = await shake(folder, "inspect", path, "--branches", "--test-limit", "10");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^stage1\.block0 +-?0\.\d\d/m);
  expect(stdout.match(/^stage\d\.block0 /gm)).toHaveLength(3);
  const refused = await shake(folder, "inspect", `${path}/model.onnx`, "--branches");
  expect(refused.code).toBe(2);
});

test("a run leaves every file that it promises", () => {
  expect(trained).toMatchObject({ code: 0 });
  const files = [
    "checkpoints",
    "config.json",
    "curves.svg",
    "graph",
    "metrics.csv",
    "metrics.jsonl",
    "model.onnx",
    "origin.json",
    "predictions.csv",
    "report.html",
  ];
  expect(readdirSync(run).sort()).toEqual(files);
  expect(readdirSync(join(run, "checkpoints"))).toEqual(["best", "last"]);
  expect(readdirSync(join(run, "graph"))).toEqual([
    "eval_model.onnx",
    "manifest.json",
    "optimizer_model.onnx",
    "training_model.onnx",
  ]);
});

test("it says what it does on standard error and what came out, with the next commands, on standard output", () => {
  expect(trained.stderr).toMatch(/network +8 2x2d, shake-shake-image, [\d,]+ parameters/);
  expect(trained.stderr).toMatch(/^epoch 2\/2 {2}train \d+\.\d\d % .* test \d+\.\d\d % .* \d+ s/m);
  expect(trained.stdout).toMatch(/Test accuracy \d+\.\d\d %/);
  for (const next of ["eval", "inspect", "export"])
    expect(trained.stdout).toContain(`  ${printedShake} ${next} runs/8-2x2d-shapes-s1`);
});

test("metrics.csv, where a kill left an older one than metrics.jsonl, is made anew by the next start", async () => {
  const table = join(run, "metrics.csv");
  const whole = readFileSync(table, "utf8");
  for (const older of [whole.split("\n").slice(0, 2).join("\n"), ""]) {
    writeFileSync(table, older);
    await (await openRun(run)).prepareToResume();
    expect(readFileSync(table, "utf8")).toBe(whole);
  }
});

test("the metrics are a JSON line and a CSV row an epoch", () => {
  const lines = readFileSync(join(run, "metrics.jsonl"), "utf8").trim().split("\n");
  const records = lines.map((line) => JSON.parse(line) as Record<string, number>);
  expect(records.map(({ epoch, step }) => [epoch, step])).toEqual([
    [1, 6],
    [2, 12],
  ]);
  const rows = readFileSync(join(run, "metrics.csv"), "utf8").trim().split("\n");
  expect(rows[0]).toBe(Object.keys(records[0] ?? {}).join(","));
  expect(rows.slice(1)).toEqual(records.map((record) => Object.values(record).join(",")));
});

test("config.json holds every setting and, with comments in it, trains the same bytes again", async () => {
  const settings = readFileSync(join(run, "config.json"), "utf8");
  const commented = settings.replace("{", "{ // once more").replace(/\}\s*$/, ", /* the end */ }");
  writeFileSync(join(folder, "commented.json"), commented);
  const again = await shake(folder, "train", "--config", "commented.json", "--run-dir", "again", "--json");
  expect(again.code).toBe(0);
  for (const file of ["model.onnx", "checkpoints/last", "checkpoints/best"]) {
    expect(readFileSync(join(folder, "again", file)).equals(readFileSync(join(run, file))), file).toBe(true);
  }
  const printed = JSON.parse(again.stdout) as Record<string, unknown>;
  expect(Object.keys(printed)).toEqual([
    "run_dir",
    "test_accuracy",
    "train_accuracy",
    "images_per_second",
    "parameters",
    "model",
  ]);
  expect(printed["model"]).toBe("again/model.onnx");
});

test("the curves are a picture with axes and both splits", () => {
  const svg = readFileSync(join(run, "curves.svg"), "utf8");
  expect(svg).toMatch(/^<svg/);
  for (const word of ["Accuracy in percent", "Loss", "epoch", "training", "test"])
    expect(svg).toContain(word);
});

test("the model says where it comes from", () => {
  const about = decodeModel(readFileSync(join(run, "model.onnx"))).metadataProps;
  expect(about["command"]).toBe(
    "shake train --width 2 --data shapes --train-limit 96 --test-limit 40 --epochs 2 --batch-size 16",
  );
  expect(about["data_sha256"]).toMatch(/^[0-9a-f]{64}$/);
  expect(JSON.parse(about["class_names"] ?? "")).toHaveLength(10);
  expect(JSON.stringify(about)).not.toContain(folder);
});

test("the name of a run that is taken gets a number, and a folder that exists is never overwritten", async () => {
  const next = await shake(folder, "train", ...tinyRunFlags, "--epochs", "1", "--tta", "--json");
  const result = JSON.parse(next.stdout);
  expect(result).toMatchObject({ run_dir: "runs/8-2x2d-shapes-s1-2" });
  const measured = await shake(folder, "eval", "--run", result.run_dir, "--tta", "--json");
  expect(JSON.parse(measured.stdout)).toMatchObject({
    accuracy: result.test_accuracy,
    tta_accuracy: result.test_accuracy_tta,
  });
  const before = readFileSync(join(run, "checkpoints/last"));
  const refused = await shake(folder, "train", ...tinyRunFlags, "--run-dir", "runs/8-2x2d-shapes-s1");
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toBe(
    "shake: runs/8-2x2d-shapes-s1 exists already: choose another --run-dir, or continue that run with --resume.\n",
  );
  expect(readFileSync(join(run, "checkpoints/last")).equals(before)).toBe(true);
});

test("artifacts of build-graph are trained as they are", async () => {
  const built = await shake(
    folder,
    "build-graph",
    "--width",
    "2",
    "--optimizer",
    "adamw",
    "--seed",
    "7",
    "--out",
    "art",
  );
  expect(built.code).toBe(0);
  const flags = tinyRunFlags.slice(2);
  const result = await shake(folder, "train", "--artifacts", "art", ...flags, "--run-dir", "from-art");
  expect(result.code).toBe(0);
  expect(decodeCheckpoint(readFileSync(join(folder, "from-art/checkpoints/last"))).optimizer?.step).toBe(12);
  expect(JSON.parse(readFileSync(join(folder, "from-art/config.json"), "utf8"))).toMatchObject({
    optimizer: "adamw",
    seed: 7,
  });
  const refused = await shake(folder, "train", "--artifacts", "art", "--width", "4");
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain("--width 4 contradicts art, which has width 2: leave it out.");
});

test("a run that diverges stops with the step and the checkpoint that is kept", async () => {
  const result = await shake(
    folder,
    "train",
    ...tinyRunFlags,
    "--learning-rate",
    "1e30",
    "--run-dir",
    "diverged",
  );
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(
    /shake: The run diverged at step \d+, .* The checkpoint of step 0 is kept\. It is diverged\/checkpoints\/last\. /,
  );
  const command = `${printedShake} train --resume diverged --learning-rate `;
  expect(result.stderr).toMatch(
    new RegExp(` To go on from the last checkpoint at a tenth of the learning rate: ${command}1e\\+29\n$`),
  );
  expect(existsSync(join(folder, "diverged/checkpoints/last"))).toBe(true);
  expect(existsSync(join(folder, "diverged/model.onnx"))).toBe(false);
  const inspected = await shake(folder, "inspect", "diverged");
  expect(inspected.stdout).toMatch(/^progress +0 of 2 epochs, step 0$/m);
  // the command's flags, at a rate that trains
  const lower = await shake(folder, "train", "--resume", "diverged", "--learning-rate", "0.01");
  expect(lower.code, lower.stderr).toBe(0);
  expect(lower.stderr).toContain(
    "The run goes on from epoch 0 with a highest learning rate of 0.01 instead of 1e+30: the learning rate is 0.01 at this place, not 1e+30.",
  );
  expect(JSON.parse(readFileSync(join(folder, "diverged/config.json"), "utf8"))).toMatchObject({
    learningRate: 0.01,
  });
});

test("a run with an epoch of NaN, which metrics.jsonl has as null, is inspected and goes on", async () => {
  cpSync(run, join(folder, "nan"), { recursive: true });
  const file = join(folder, "nan/metrics.jsonl");
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const second = { ...JSON.parse(lines[1] ?? ""), train_loss: null, test_loss: null };
  writeFileSync(file, `${lines[0]}\n${JSON.stringify(second)}\n`);
  const { code, stdout } = await shake(folder, "inspect", "nan");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^2 +\S+ % +NaN /m);
  expect((await shake(folder, "train", "--resume", "nan")).code).toBe(0);
});

test("a run whose last checkpoint is damaged goes on from the best one to the same bytes, and says so", async () => {
  const [damaged, last] = [join(folder, "damaged"), join(folder, "damaged/checkpoints/last")];
  cpSync(run, damaged, { recursive: true });
  const bytes = readFileSync(last);
  writeFileSync(last, bytes.fill(7, 2000, 2010));
  const { code, stderr } = await shake(folder, "train", "--resume", "damaged");
  const best = decodeCheckpoint(readFileSync(join(run, "checkpoints/best"))).properties.get("step");
  const [named, kept] = ["damaged/checkpoints/last", "damaged/checkpoints/last.damaged"];
  expect(stderr).toContain(
    `${named} is damaged and kept as ${kept}: the run goes on from damaged/checkpoints/best, of step ${best}.\n`,
  );
  expect(code).toBe(0);
  expect(readFileSync(join(folder, kept))).toEqual(bytes);
  for (const file of ["model.onnx", "checkpoints/last"])
    expect(readFileSync(join(damaged, file)).equals(readFileSync(join(run, file))), file).toBe(true);
});

test("a run without a sound checkpoint says which one is damaged, and stays as it is", async () => {
  const lost = join(folder, "lost");
  cpSync(run, lost, { recursive: true });
  for (const kind of ["last", "best"]) writeFileSync(join(lost, "checkpoints", kind), "no checkpoint");
  const { code, stderr } = await shake(folder, "train", "--resume", "lost");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^shake: lost\/checkpoints\/last is not a sound ONNX Runtime checkpoint/),
  });
  expect(readdirSync(join(lost, "checkpoints"))).toEqual(["best", "last"]);
});
