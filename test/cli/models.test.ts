import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { optimizers } from "../../shakenet/index.ts";
import { foreignCheckpoint } from "../support/foreign-checkpoint.ts";
import { shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const json = async (...args: string[]) => JSON.parse((await shake(folder, ...args, "--json")).stdout);

beforeAll(async () => {
  expect((await shake(folder, "train", ...tinyRunFlags, "--run-dir", "run")).code).toBe(0);
});

test.each(["eval", "predict"])("%s refuses a size that a model does not take", async (command) => {
  const pictures = command === "predict" ? ["picture.png"] : [];
  const { code, stderr } = await shake(folder, command, "run/model.onnx", ...pictures, "--image-size", "64");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: "shake: The model takes pictures of 32 x 32: leave --image-size out.\n",
  });
});

test("eval of a run, of its model and of an export agree with the run's last epoch", async () => {
  const lines = readFileSync(join(folder, "run/metrics.jsonl"), "utf8").trim().split("\n");
  const last = JSON.parse(lines.at(-1) ?? "") as Record<string, number>;
  expect((await shake(folder, "export", "run", "--out", "exported.onnx")).code).toBe(0);
  expect((await shake(folder, "export", "run/checkpoints/last", "--out", "bare.onnx")).code).toBe(0);
  const models = [
    ["--run", "run"],
    ...["run/model.onnx", "exported.onnx", "bare.onnx"].map((model) => ["--model", model]),
  ];
  for (const which of models) {
    const result = await json("eval", ...which, "--data", "shapes", "--test-limit", "40", "--threads", "1");
    expect(result.accuracy, which.join(" ")).toBe(last["test_accuracy"]);
    expect(result.loss).toBeCloseTo(last["test_loss"] ?? 0, 5);
    expect(result.images).toBe(40);
    expect(result.per_class).toHaveLength(10);
  }
});

test("an export of a finished run is its model, byte for byte", async () => {
  expect((await shake(folder, "export", "run", "--out", "again.onnx")).code).toBe(0);
  const [exported, model] = ["again.onnx", "run/model.onnx"].map((name) => readFileSync(join(folder, name)));
  expect(exported?.equals(model ?? Buffer.alloc(0))).toBe(true);
});

test("eval of a model uses the data set that it names, and asks where it names none", async () => {
  expect(await json("eval", "--model", "run/model.onnx", "--test-limit", "40")).toMatchObject({
    data: "shapes",
  });
  writeFileSync(join(folder, "foreign"), foreignCheckpoint(join(folder, "run/checkpoints/last")));
  expect((await shake(folder, "export", "foreign", "--out", "bare.onnx")).code).toBe(0);
  const { code, stderr } = await shake(folder, "eval", "--model", "bare.onnx");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: "shake: bare.onnx does not say what it was trained on: give --data.\n",
  });
});

test("eval prints a table per class", async () => {
  const { stdout } = await shake(folder, "eval", "--run", "run", "--checkpoint", "best");
  expect(stdout).toMatch(/^class +images +correct +recall +precision\n/);
  expect(stdout).toMatch(
    /run\/checkpoints\/best on shapes: loss \d\.\d{4}, accuracy \d+\.\d\d % of 40 test images, calibration error \d+\.\d\d %\n$/,
  );
});

describe("build-graph", () => {
  const standard = ["standard", "sgd-nesterov"] as const;
  test.each([standard, ...optimizers.map((optimizer) => ["ort-training", optimizer] as const)])(
    "writes the four files for %s with %s, the same bytes each time",
    async (target, optimizer) => {
      const flags = ["--width", "2", "--target", target, "--optimizer", optimizer];
      for (const out of ["first", "second"]) {
        expect((await shake(folder, "build-graph", ...flags, "--out", out)).code).toBe(0);
      }
      for (const file of [
        "training_model.onnx",
        "eval_model.onnx",
        "optimizer_model.onnx",
        "checkpoint",
        "manifest.json",
      ]) {
        const [first, second] = ["first", "second"].map((out) => readFileSync(join(folder, out, file)));
        expect(first?.equals(second ?? Buffer.alloc(0)), file).toBe(true);
      }
      const report = await json("inspect", "first/training_model.onnx");
      expect(report).toMatchObject({ kind: "model", ir_version: 8, opset: 17 });
      const microsoft = Object.keys(report.operators).filter((name: string) =>
        /Grad$|Internal$|V2$/.test(name),
      );
      expect(microsoft.length > 0).toBe(target === "ort-training");
    },
  );
});

describe("inspect", () => {
  test("tells a model's inputs, layers, parameters, cost and origin", async () => {
    const { stdout } = await shake(folder, "inspect", "run/model.onnx");
    expect(stdout).toMatch(/inputs +images float\[batch, 3, 32, 32\]/);
    expect(stdout).toMatch(/stage3\.block0\.shortcut +Conv +float\[batch, 8, 8, 8\]/);
    expect(stdout).toMatch(/command +shake train --width 2 --data shapes/);
  });

  test("prints a graph in ONNX's textual syntax", async () => {
    const { stdout } = await shake(folder, "inspect", "run/graph/training_model.onnx", "--graph");
    expect(stdout).toMatch(/shakenet\.ShakeForward \(/);
    expect(stdout).toMatch(/shakenet\.ShakeBackward \(/);
  });

  test("knows a checkpoint, a run and an artifacts folder", async () => {
    expect(await json("inspect", "run/checkpoints/last")).toMatchObject({
      kind: "checkpoint",
      properties: { epoch: 2, step: 12, seed: 1 },
    });
    expect(await json("inspect", "run")).toMatchObject({ kind: "run", step: 12, config: { width: 2 } });
    expect(await json("inspect", "first")).toMatchObject({
      kind: "artifacts",
      trainingModel: { kind: "model" },
    });
    expect(await json("inspect", "run/graph")).toMatchObject({ kind: "artifacts" });
    for (const what of ["run/checkpoints/last", "run", "first"]) {
      expect((await shake(folder, "inspect", what)).stdout.split("\n").length).toBeGreaterThan(5);
    }
  });

  test("counts the epochs of a run that were trained, not those that were evaluated", async () => {
    cpSync(join(folder, "run"), join(folder, "second"), { recursive: true });
    const metrics = join(folder, "second/metrics.jsonl");
    writeFileSync(metrics, readFileSync(metrics, "utf8").replace(/^.*\n/, ""));
    const { stdout } = await shake(folder, "inspect", "second");
    expect(stdout).toMatch(/^progress +2 of 2 epochs, step 12$/m);
    expect(stdout).toMatch(/^2 +\S+ % .*$/m);
    expect(stdout).not.toMatch(/^1 +\S+ % /m);
  });
});

test("a run that diverged can be inspected, with epochs that are not numbers too", async () => {
  const flags = [...tinyRunFlags, "--learning-rate", "1e20", "--run-dir", "diverged"];
  const { code, stderr } = await shake(folder, "train", ...flags);
  expect(code).toBe(2);
  expect(stderr).toMatch(/diverged/);
  const line = readFileSync(join(folder, "run/metrics.jsonl"), "utf8").split("\n")[0] ?? "";
  const numbers = { ...JSON.parse(line), test_loss: null, train_loss: null };
  writeFileSync(join(folder, "diverged/metrics.jsonl"), `${JSON.stringify(numbers)}\n`);
  const inspected = await shake(folder, "inspect", "diverged");
  expect({ code: inspected.code, stderr: inspected.stderr }).toEqual({ code: 0, stderr: "" });
  expect(inspected.stdout).toMatch(/\n1 +\d+\.\d\d % +NaN +\d+\.\d\d % +NaN /);
});

test("doctor trains a step on every device that is there and says why the others are not", async () => {
  const { devices, onnxruntime, mpi } = await json("doctor");
  expect(onnxruntime).toMatch(/^\d+\.\d+\.\d+$/);
  const cpu = devices.find(({ device }: { device: string }) => device === "cpu");
  expect(cpu).toMatchObject({ works: true, says: expect.stringMatching(/trains 8 2x8d at \d+ images\/s/) });
  expect(mpi.map(({ what }: { what: string }) => what)).toEqual([
    ...["koffi", "library of MPI", "launcher", "ranks"],
  ]);
  expect(mpi[3].found).toMatch(/^this process alone; `mpirun -n 2 .* train` starts two$/);
  for (const { works, says } of devices) expect(works || /^The device \w+ .*\.$/.test(says), says).toBe(true);
});
