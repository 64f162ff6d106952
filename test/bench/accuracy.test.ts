import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readOptions } from "../../bench/accuracy/options.ts";
import { figureOf, tableOf } from "../../bench/accuracy/report.ts";
import { type Study, studies } from "../../bench/accuracy/studies.ts";
import type { Outcome } from "../../bench/accuracy/training.ts";
import { at } from "../../graph-builder/index.ts";

const row = (x: number) => ({
  label: `${x} images`,
  line: "E-E",
  x,
  program: "shake" as const,
  flags: [],
});
const [few, many, most] = [row(100), row(1000), row(10_000)];
const study: Study = {
  title: "Little data",
  rows: [few, many, most],
  figure: { title: "Accuracy", xTitle: "images", shows: "last accuracy" },
};
const reached = (accuracy: number): Outcome => ({ accuracy, curve: [] });
const outcomes = new Map([
  [few, [reached(10), reached(20)]],
  [many, [reached(30), reached(34)]],
  [most, [reached(50), reached(50)]],
]);

test("the table of a study has the mean of the seeds, the least and the most, and their number", () => {
  expect(tableOf(study, outcomes).split("\n").slice(2)).toEqual([
    "| 100 images | 15.0 | 10.0 to 20.0 | 2 |",
    "| 1000 images | 32.0 | 30.0 to 34.0 | 2 |",
    "| 10000 images | 50.0 | 50.0 to 50.0 | 2 |",
  ]);
});

test("the figure of a study shows the means at equal ratios of images, and the spread of the seeds", () => {
  const svg = figureOf(study, outcomes) ?? "";
  const [area = [], line = []] = [...svg.matchAll(/ d="([^"]*)"/g)].map(([, path = ""]) =>
    path
      .replace(/[MZ]/g, "")
      .split("L")
      .map((point) => point.split(" ").map(Number)),
  );
  const [left, middle, right] = line.map(([x = Number.NaN]) => x);
  expect((left ?? 0) + (right ?? 0)).toBeCloseTo(2 * (middle ?? 0), 0);
  // along the least values and back along the most
  expect(area.map(([x]) => x)).toEqual([left, middle, right, right, middle, left]);
  const heights = area.map(([, y = Number.NaN]) => y);
  expect(line.map(([, y]) => y)[0]).toBeCloseTo(((heights[0] ?? 0) + (heights[5] ?? 0)) / 2, 0);
  expect(svg).toContain(">1,000</text>");
});

test("figures by epochs and by blocks have a point for each of them", () => {
  const trained: Outcome = {
    accuracy: 60,
    curve: [
      [2, 40],
      [4, 60],
    ],
    correlations: [0.9, 0.5, 0.1],
  };
  const points = (shows: NonNullable<Study["figure"]>["shows"]) => {
    const one = { ...study, rows: [few], figure: { title: "", xTitle: "", shows } };
    const svg = figureOf(one, new Map([[few, [trained]]]));
    return svg?.match(/<title>[^<]*/g)?.map((title) => title.replace("<title>E-E, ", ""));
  };
  expect(points("test_accuracy")).toEqual(["2: 40", "4: 60"]);
  expect(points("correlation")).toEqual(["1: 0.9", "2: 0.5", "3: 0.1"]);
});

test("a figure of bars has one for each row, as long as its mean, with the spread of the seeds", () => {
  const svg = figureOf({ ...study, figure: { title: "Accuracy", shows: "bars" } }, outcomes) ?? "";
  const widths = [...svg.matchAll(/<rect x="230"[^>]*width="([^"]*)"/g)].map(([, width]) => Number(width));
  expect(widths.length).toBe(3);
  expect(at(widths, 1) / at(widths, 0)).toBeCloseTo(32 / 15, 1);
  expect(at(widths, 2) / at(widths, 0)).toBeCloseTo(50 / 15, 1);
  const lines = [...svg.matchAll(/d="M([^ ]*) [^H]*H([^"]*)"/g)];
  const spreads = lines.map(([, from, to]) => Number(to) - Number(from));
  expect(at(spreads, 0) / at(spreads, 1)).toBeCloseTo(10 / 4, 1);
  expect(at(spreads, 2)).toBe(0);
});

test("the legend of many lines has several rows, inside of the file", () => {
  const many = Array.from({ length: 8 }, (_, i) => ({ ...row(100 + i), line: `line ${i}` }));
  const all = new Map(many.map((each) => [each, [reached(10)]]));
  const svg = figureOf({ ...study, rows: many }, all) ?? "";
  const size = Number(/width="(\d+)"/.exec(svg)?.[1]);
  const names = [...svg.matchAll(/<text x="(\d+)" y="(\d+)">line/g)];
  expect(names.length).toBe(8);
  expect(Math.max(...names.map(([, x]) => Number(x)))).toBeLessThan(size - 60);
  expect(new Set(names.map(([, , y]) => y)).size).toBeGreaterThan(1);
});

test("every flag of every study is one of its program's", () => {
  const shake = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const help = execFileSync(process.execPath, [shake, "train", "--help"], { encoding: "utf8" });
  const loop = readFileSync(new URL("../interop/train_torch.py", import.meta.url), "utf8");
  const all = Object.values(studies).flatMap(({ rows }) => rows);
  const flagsOf = (program: "shake" | "torch") => {
    const flags = all.flatMap((each) => (each.program === program ? each.flags : []));
    return new Set(flags.filter((flag) => flag.startsWith("--")));
  };
  for (const program of ["shake", "torch"] as const) expect(flagsOf(program).size).toBeGreaterThan(0);
  for (const flag of flagsOf("shake")) expect(help).toMatch(new RegExp(`^ +${flag} `, "m"));
  for (const flag of flagsOf("torch")) expect(loop).toContain(`add("${flag}"`);
});

test("the command line names a study and its numbers, and a mistake is one sentence", () => {
  expect(readOptions(["--help"])).toBeUndefined();
  expect(readOptions(["shake-drop", "--seeds", "2", "--at-once", "1"])).toMatchObject({
    study: "shake-drop",
    seeds: 2,
    atOnce: 1,
  });
  expect(() => readOptions(["nothing"])).toThrow(/^nothing is no study: little-data, .*\.$/);
  expect(() => readOptions([])).toThrow(/^Name a study: /);
  expect(() => readOptions(["branches", "shake-drop"])).toThrow(
    "Name one study, not branches and shake-drop.",
  );
  expect(() => readOptions(["branches", "--seeds", "0"])).toThrow(
    "--seeds must be a whole number from 1, not 0.",
  );
});

test("a study over minutes shows the accuracy with mirrored images too, at the median of the seeds' times", () => {
  const overMinutes: Study = {
    ...study,
    rows: [few, many],
    figure: { title: "Accuracy", xTitle: "minutes", shows: "minutes" },
  };
  const trained = (accuracy: number, mirrored: number, minutes: number) => ({
    ...reached(accuracy),
    mirrored,
    minutes,
  });
  const seeds = new Map([
    [few, [trained(80, 82, 4.1), trained(84, 86, 4.2), trained(82, 84, 9)]],
    [many, [trained(90, 92, 57.6)]],
  ]);
  expect(tableOf(overMinutes, seeds).split("\n")).toEqual([
    "| training | test accuracy in percent, mean | least and most | with mirrored images | least and most | minutes | n |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    "| 100 images | 82.0 | 80.0 to 84.0 | 84.0 | 82.0 to 86.0 | 4 | 3 |",
    "| 1000 images | 90.0 | 90.0 to 90.0 | 92.0 | 92.0 to 92.0 | 58 | 1 |",
  ]);
  const points = [...(figureOf(overMinutes, seeds) ?? "").matchAll(/<title>([^<]*)/g)].map(
    ([, text]) => text,
  );
  expect(points).toEqual([
    "test images, 4: 82",
    "test images, 58: 90",
    "mirrored too, 4: 84",
    "mirrored too, 58: 92",
  ]);
});
