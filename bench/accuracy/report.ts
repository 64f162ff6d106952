import { type ChartLine, chartsFile } from "../../cli/report/line-chart.ts";
import { at } from "../../graph-builder/index.ts";
import { spreadOf } from "../compare/statistics.ts";
import type { Row, Study } from "./studies.ts";
import type { Outcome } from "./training.ts";

/** The trainings of each row, one a seed. */
export type Outcomes = ReadonlyMap<Row, readonly Outcome[]>;

const colours = ["#2a64cf", "#c2570c", "#2e8540", "#8a3ab9", "#b0892c", "#0f8b8d", "#c0392b", "#5a6372"];

/** The accuracy of each row over its seeds, as a table in Markdown. */
export function tableOf(study: Study, outcomes: Outcomes): string {
  const lines = study.rows.map((row) => {
    const values = (outcomes.get(row) ?? []).map(({ accuracy }) => accuracy);
    const { min, max } = spreadOf(values);
    return `| ${row.label} | ${meanOf(values).toFixed(1)} | ${min.toFixed(1)} to ${max.toFixed(1)} | ${values.length} |`;
  });
  return [
    "| training | test accuracy in percent, mean | least and most | n |",
    "|---|---|---|---|",
    ...lines,
  ].join("\n");
}

/** The figure of a study as SVG, with the mean of the seeds and their spread; undefined where it has none. */
export function figureOf(study: Study, outcomes: Outcomes): string | undefined {
  const { figure } = study;
  if (!figure) return undefined;
  const { shows } = figure;
  const names = [...new Set(study.rows.map(({ line }) => line))];
  const lines = names.map((label, i): ChartLine => {
    const rows = study.rows.filter(({ line }) => line === label);
    const points = rows.flatMap((row) => pointsOf(row, outcomes.get(row) ?? [], shows));
    return {
      label,
      colour: at(colours, i % colours.length),
      points: points.map(({ x, values }) => [x, meanOf(values)]),
      spread: points.map(({ values }) => [Math.min(...values), Math.max(...values)]),
    };
  });
  const isLogarithmic = shows === "last accuracy";
  return chartsFile(study.title, [{ title: figure.title, xTitle: figure.xTitle, lines, isLogarithmic }]);
}

type Point = { readonly x: number; readonly values: readonly number[] };

/** The places of a row in a figure, with the value of each seed. */
function pointsOf(
  row: Row,
  outcomes: readonly Outcome[],
  shows: NonNullable<Study["figure"]>["shows"],
): Point[] {
  if (shows === "last accuracy") {
    return row.x === undefined ? [] : [{ x: row.x, values: outcomes.map(({ accuracy }) => accuracy) }];
  }
  const [first] = outcomes;
  if (shows === "correlation") {
    return (first?.correlations ?? []).map((_, i) => ({
      x: i + 1,
      values: outcomes.map(({ correlations = [] }) => at(correlations, i)),
    }));
  }
  return (first?.curves[shows] ?? []).map(([x], i) => ({
    x,
    values: outcomes.map(({ curves }) => at(curves[shows], i)[1]),
  }));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
