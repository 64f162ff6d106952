import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { colourPictures, writeFiles } from "../support/picture-folder.ts";
import { type Finished, shakeWith, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const shake = (...args: string[]) => shakeWith({ SHAKE_CACHE_DIR: join(folder, "cache") }, folder, ...args);
const read = (name: string) => readFileSync(join(folder, "run", name), "utf8");

/** The name of a class that a page must not take for markup, nor a spreadsheet for a formula. */
const hostile = "=<img src=x onerror=alert(1)>";
let trained: Finished;

beforeAll(async () => {
  const pictures = Object.entries(await colourPictures({ green: 10, red: 10 }));
  const files = Object.fromEntries(
    pictures.map(([path, content]) => [path.replace("green", hostile), content]),
  );
  writeFiles(join(folder, "photos"), { ...files, "red/broken.png": "no picture" });
  writeFiles(join(folder, "other"), await colourPictures({ red: 2 }));
  trained = await shake(
    ...["train", "--data", "photos", "--image-size", "16", "--width", "2", "--val-split", "0.3"],
    ...["--epochs", "1", "--batch-size", "8", "--threads", "1", "--replicas", "1", "--run-dir", "run"],
  );
}, 60_000);

describe("at the end of a training", () => {
  test("there is a report that names the validation pictures, the command and the machine", () => {
    expect(trained).toMatchObject({ code: 0 });
    expect(trained.stdout).toContain(join("run", "report.html"));
    const report = read("report.html");
    for (const text of [
      "6 validation images",
      "train --data photos",
      "Confusion matrix",
      "Calibration",
      "1 picture is broken",
    ])
      expect(report).toContain(text);
    expect(report).toMatch(/src="data:image\/png;base64,/);
    expect(report).toMatch(/red\/\d\.png/);
  });

  test("what comes from a file is no markup in it", () => {
    const report = read("report.html");
    expect(report).not.toContain("<img src=x");
    expect(report).toContain("=&lt;img src=x onerror=alert(1)&gt;");
    expect(report).not.toContain("<script");
    expect(report).toContain("default-src 'none'");
  });

  test("there is a line for each picture in predictions.csv, and no formula", () => {
    const [head = "", ...lines] = read("predictions.csv").trim().split("\r\n");
    expect(head).toBe(`path,label,predicted,loss,probability of ${hostile},probability of red`);
    expect(lines).toHaveLength(6);
    for (const line of lines) {
      expect(line).not.toMatch(/(^|,)[=+@]/);
      const [p = 0, q = 0] = line.split(",").slice(-2).map(Number);
      expect(p + q).toBeCloseTo(1, 12);
    }
  });
});

test("report measures other pictures and leaves the run's own report", async () => {
  const before = read("report.html");
  const { code, stdout } = await shake("report", "run", "--data", "other", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    state: "finished",
    images: 2,
    part: "all",
    report: join("run", "report-other.html"),
    predictions: join("run", "predictions-other.csv"),
  });
  expect(read("report-other.html")).toContain("2 measured images");
  expect(read("report.html")).toBe(before);
});

test("eval takes the folder of a run, a checkpoint and a model, and prints who is taken for whom", async () => {
  const [ofRun, ofCheckpoint, ofModel] = await Promise.all([
    shake("eval", "run", "--json"),
    shake("eval", join("run", "checkpoints", "last"), "--json"),
    shake("eval", join("run", "model.onnx")),
  ]);
  const facts = JSON.parse(ofRun?.stdout ?? "");
  expect(facts).toMatchObject({ images: 6, part: "validation", model: join("run", "checkpoints", "last") });
  const counted = facts.confusion.reduce((sum: number, { images }: { images: number }) => sum + images, 0);
  expect(counted).toBe(6);
  expect(JSON.parse(ofCheckpoint?.stdout ?? "")).toEqual(facts);
  expect(ofModel?.stdout).toMatch(/A row is a class, a column what its images were taken for:/);
  expect(ofModel?.stdout).toMatch(/of 6 validation images, calibration error \d/);
});

describe("runs", () => {
  test("are listed with their state", async () => {
    const { code, stdout } = await shake("runs", ".");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^run +ShakeNet 8 2x2d +photos +1 of 1 +\S+ % +\S+ % +\d+ s +finished$/m);
  });

  test("are compared in the terminal and on a page", async () => {
    const { code, stdout } = await shake("runs", "run", "run", "--out", "compare.html");
    expect(code).toBe(0);
    expect(stdout).toContain("The settings of these runs are the same.");
    expect(readFileSync(join(folder, "compare.html"), "utf8")).toContain("2 runs");
  });

  test("that are damaged are listed with a sentence", async () => {
    writeFiles(join(folder, "bad"), { "config.json": "{" });
    const { code, stdout } = await shake("runs", "bad", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout).runs).toMatchObject([
      { state: "damaged", fault: expect.stringMatching(/is not JSON/) },
    ]);
  });

  test.each([
    ["a folder that is not there", ["nowhere"], /There is no folder nowhere\./],
    ["a folder without runs", ["photos"], /photos holds no run/],
    ["a path that is no run among several", ["run", "photos"], /photos is not the folder of a run/],
    [
      "a page that would replace what a run needs",
      ["run", "run", "--out", "run/config.json"],
      /would replace/,
    ],
  ])("of %s are refused in one sentence", async (_, args, sentence) => {
    const { code, stderr } = await shake("runs", ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

test("a run with damaged files, which diverged, has a report that says so", async () => {
  writeFileSync(join(folder, "run", "checkpoints", "last"), "damaged");
  writeFileSync(
    join(folder, "run", "metrics.jsonl"),
    `${read("metrics.jsonl").replace(/"test_loss":[^,}]+/, '"test_loss":null')}`,
  );
  writeFileSync(join(folder, "run", "origin.json"), "[");
  const { code, stdout, stderr } = await shake("report", "run", "--out", "bad.html", "--json");
  expect(code).toBe(0);
  expect(stderr).toMatch(/Warning: .*checkpoints.last/);
  expect(stderr).toMatch(/Warning: .*origin\.json is not JSON/);
  expect(JSON.parse(stdout)).toMatchObject({ state: "diverged", report: "bad.html" });
  expect(readFileSync(join(folder, "bad.html"), "utf8")).toContain("The run diverged");
  expect(existsSync(join(folder, "bad.csv"))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
