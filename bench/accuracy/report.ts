import { type ChartLine, chartsFile } from "../../cli/report/line-chart.ts";
import { at } from "../../graph-builder/index.ts";
import { spreadOf } from "../compare/statistics.ts";
import { barsFile } from "./bars.ts";
import type { Row, Study } from "./studies.ts";
import type { Outcome } from "./training.ts";

/** The trainings of each row, one a seed. */
export type Outcomes = ReadonlyMap<Row, readonly Outcome[]>;

const colours = ["#2a64cf", "#c2570c", "#2e8540", "#8a3ab9"];

/**
 * The accuracy of each row over its seeds in percent, as a table in Markdown; also that with mirrored images
 * and the minutes, where the figure shows them.
 */
export function tableOf({ rows, figure }: Study, outcomes: Outcomes): string {
  const overMinutes = figure?.shows === "minutes";
  const lines = rows.map((row) => {
    const values = accuraciesOf(row, outcomes);
    const more = overMinutes ? [...meanAndSpread(mirroredOf(row, outcomes)), minutesOf(row, outcomes)] : [];
    return [row.label, ...meanAndSpread(values), ...more, values.length];
  });
  const names = overMinutes ? ["with mirrored images", "least and most", "minutes"] : [];
  const head = ["training", "test accuracy in percent, mean", "least and most", ...names, "n"];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function meanAndSpread(values: readonly number[]): readonly string[] {
  const { min, max } = spreadOf(values);
  return [meanOf(values).toFixed(1), `${min.toFixed(1)} to ${max.toFixed(1)}`];
}

/** The figure of a study as SVG, with the mean of the seeds and their spread; undefined where it has none. */
export function figureOf({ title, rows, figure }: Study, outcomes: Outcomes): string | undefined {
  if (!figure) return undefined;
  if (figure.shows === "bars") {
    const bars = rows.map((row) => {
      const values = accuraciesOf(row, outcomes);
      return { label: row.label, ...spreadOf(values), mean: meanOf(values) };
    });
    return barsFile(title, figure.title, bars);
  }
  const { title: name, xTitle = "", shows } = figure;
  const overMinutes = shows === "minutes";
  const all = overMinutes ? linesOverMinutes(rows, outcomes) : linesOverRows(rows, outcomes, shows);
  const lines = [...all].map(
    ([label, points], i): ChartLine => ({
      label,
      colour: at(colours, i % colours.length),
      points: points.map(({ x, values }) => [x, meanOf(values)]),
      spread: points.map(({ values }) => [Math.min(...values), Math.max(...values)]),
    }),
  );
  const isLogarithmic = overMinutes || shows === "last accuracy";
  return chartsFile(title, [{ title: name, xTitle, lines, isLogarithmic }]);
}

/** The lines of a figure by their names. */
type Lines = ReadonlyMap<string, readonly Point[]>;

function linesOverRows(rows: readonly Row[], outcomes: Outcomes, shows: Shows): Lines {
  const names = [...new Set(rows.map(({ line }) => line))];
  const pointsOfRow = (row: Row) => pointsOf(row, outcomes.get(row) ?? [], shows);
  return new Map(names.map((name) => [name, rows.filter(({ line }) => line === name).flatMap(pointsOfRow)]));
}

function linesOverMinutes(rows: readonly Row[], outcomes: Outcomes): Lines {
  const pointsBy = (valuesOf: typeof accuraciesOf) =>
    rows.map((row) => ({ x: minutesOf(row, outcomes), values: valuesOf(row, outcomes) }));
  return new Map([
    ["test images", pointsBy(accuraciesOf)],
    ["mirrored too", pointsBy(mirroredOf)],
  ]);
}

type Shows = NonNullable<Study["figure"]>["shows"];

type Point = { readonly x: number; readonly values: readonly number[] };

/** The places of a row in a figure of lines, with the value of each seed. */
function pointsOf({ x }: Row, outcomes: readonly Outcome[], shows: Shows): Point[] {
  if (shows === "last accuracy") {
    return x === undefined ? [] : [{ x, values: outcomes.map(({ accuracy }) => accuracy) }];
  }
  const lineOf = ({ curve, correlations = [] }: Outcome) =>
    shows === "correlation" ? correlations.map((value, i) => [i + 1, value] as const) : curve;
  const lines = outcomes.map(lineOf);
  return at(lines, 0).map(([place], i) => ({ x: place, values: lines.map((line) => at(line, i)[1]) }));
}

function accuraciesOf(row: Row, outcomes: Outcomes): number[] {
  return (outcomes.get(row) ?? []).map(({ accuracy }) => accuracy);
}

function mirroredOf(row: Row, outcomes: Outcomes): number[] {
  return (outcomes.get(row) ?? []).map(({ mirrored = Number.NaN }) => mirrored);
}

/** The median time over the seeds, in whole minutes. One seed beside another program does not change it. */
function minutesOf(row: Row, outcomes: Outcomes): number {
  const minutes = (outcomes.get(row) ?? []).map(({ minutes = Number.NaN }) => minutes);
  return Math.round(spreadOf(minutes).median);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
