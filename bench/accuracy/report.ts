import { type ChartLine, chartsFile } from "../../cli/report/line-chart.ts";
import { at } from "../../graph-builder/index.ts";
import { spreadOf } from "../compare/statistics.ts";
import { barsFile } from "./bars.ts";
import type { Row, Study } from "./studies.ts";
import type { Outcome } from "./training.ts";

/** The trainings of each row, one a seed. */
export type Outcomes = ReadonlyMap<Row, readonly Outcome[]>;

const colours = ["#2a64cf", "#c2570c", "#2e8540", "#8a3ab9"];

/** The accuracy of each row over its seeds, as a table in Markdown. */
export function tableOf(study: Study, outcomes: Outcomes): string {
  const lines = study.rows.map((row) => {
    const values = accuraciesOf(row, outcomes);
    const { min, max } = spreadOf(values);
    return `| ${row.label} | ${meanOf(values).toFixed(1)} | ${min.toFixed(1)} to ${max.toFixed(1)} | ${values.length} |`;
  });
  const head = "| training | test accuracy in percent, mean | least and most | n |";
  return [head, "|---|---|---|---|", ...lines].join("\n");
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
  const names = [...new Set(rows.map(({ line }) => line))];
  const lines = names.map((label, i): ChartLine => {
    const own = rows.filter(({ line }) => line === label);
    const points = own.flatMap((row) => pointsOf(row, outcomes.get(row) ?? [], figure.shows));
    return {
      label,
      colour: at(colours, i % colours.length),
      points: points.map(({ x, values }) => [x, meanOf(values)]),
      spread: points.map(({ values }) => [Math.min(...values), Math.max(...values)]),
    };
  });
  const { title: name, xTitle = "", shows } = figure;
  return chartsFile(title, [{ title: name, xTitle, lines, isLogarithmic: shows === "last accuracy" }]);
}

type Point = { readonly x: number; readonly values: readonly number[] };

/** The places of a row in a figure of lines, with the value of each seed. */
function pointsOf(
  { x }: Row,
  outcomes: readonly Outcome[],
  shows: NonNullable<Study["figure"]>["shows"],
): Point[] {
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

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
