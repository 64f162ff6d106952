import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readOptions } from "../../bench/accuracy/options.ts";
import { figureOf, tableOf } from "../../bench/accuracy/report.ts";
import { type Study, studies } from "../../bench/accuracy/studies.ts";
import type { Outcome } from "../../bench/accuracy/training.ts";

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
const reached = (accuracy: number): Outcome => ({ accuracy, curves: { test_accuracy: [], train_loss: [] } });
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
    curves: {
      test_accuracy: [
        [1, 40],
        [2, 60],
      ],
      train_loss: [
        [1, 2],
        [2, 1],
      ],
    },
    correlations: [0.9, 0.5, 0.1],
  };
  const points = (shows: NonNullable<Study["figure"]>["shows"]) => {
    const svg = figureOf(
      { ...study, rows: [few], figure: { title: "", xTitle: "", shows } },
      new Map([[few, [trained]]]),
    );
    return svg?.match(/<title>[^<]*/g)?.map((title) => title.replace("<title>E-E, ", ""));
  };
  expect(points("train_loss")).toEqual(["1: 2", "2: 1"]);
  expect(points("correlation")).toEqual(["1: 0.9", "2: 0.5", "3: 0.1"]);
});

test("every flag of every study is one of its program's", () => {
  const shake = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const help = execFileSync(process.execPath, [shake, "train", "--help"], { encoding: "utf8" });
  const flags = Object.values(studies).flatMap(({ rows }) =>
    rows.flatMap(({ program, flags }) =>
      program === "shake" ? flags.filter((flag) => flag.startsWith("--")) : [],
    ),
  );
  expect(flags.length).toBeGreaterThan(0);
  for (const flag of new Set(flags)) expect(help).toMatch(new RegExp(`^ +${flag} `, "m"));
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
  expect(() => readOptions(["branches", "--seeds", "0"])).toThrow(
    "--seeds must be a whole number from 1, not 0.",
  );
});
