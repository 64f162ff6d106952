import { kebabCase } from "../../../runtime/node/run/schema.ts";
import { formatSeconds, formatTable } from "../../format.ts";
import {
  bestAccuracy,
  differingSettings,
  type RunSummary,
  secondsOf,
  settingText,
} from "../../models/run-summary.ts";

/** The runs as a table, with a sentence for each that is damaged. */
export function describeList(runs: readonly RunSummary[]): string {
  const header = ["run", "network", "data", "epochs", "accuracy", "best", "time", "state"];
  const faults = runs.flatMap(({ fault }) => fault ?? []);
  return [formatTable(header, runs.map(rowOf)), ...(faults.length > 0 ? ["", ...faults] : [])].join("\n");
}

function rowOf(run: RunSummary): string[] {
  const { path, network = "", data = "", epochs, records, state } = run;
  const last = records.at(-1);
  return [
    path,
    network,
    data,
    epochs === undefined ? "" : `${last?.epoch ?? 0} of ${epochs}`,
    percent(last?.test_accuracy),
    percent(bestAccuracy(run)),
    last ? formatSeconds(secondsOf(run)) : "",
    state,
  ];
}

/** The widest curve, in characters. */
const WIDEST = 48;

/** The runs as a table, the settings that differ, and the curves of their accuracy. */
export function describeComparison(runs: readonly RunSummary[]): string {
  const names = runs.map(({ path }) => path);
  const differing = differingSettings(runs).map(({ name, values }) => [
    kebabCase(name),
    ...values.map(settingText),
  ]);
  const settings =
    differing.length > 0
      ? formatTable(["setting", ...names], differing)
      : "The settings of these runs are the same.";
  return [describeList(runs), "", settings, "", ...curves(runs)].join("\n");
}

function curves(runs: readonly RunSummary[]): string[] {
  const all = runs.map(({ records }) => records.map((record) => record.test_accuracy));
  const finite = all.flat().filter(Number.isFinite);
  const [first] = finite;
  if (first === undefined) return ["No run has measured an epoch."];
  const least = finite.reduce((a, b) => Math.min(a, b));
  const most = finite.reduce((a, b) => Math.max(a, b));
  const longest = all.reduce((length, values) => Math.max(length, values.length), 0);
  const rows = runs.map(({ path }, i) => [path, sparkline(all[i] ?? [], [least, most], longest)]);
  const range = `accuracy by epoch, ${percent(least)} to ${percent(most)}`;
  return [formatTable(["run", range], rows)];
}

const levels = "▁▂▃▄▅▆▇█";

/** A curve as blocks of eight heights, on the axis of the longest one; a value that is no number is a gap. */
export function sparkline(
  values: readonly number[],
  [least, most]: readonly [number, number],
  longest: number,
): string {
  const width = Math.min(WIDEST, longest);
  const columns = Array.from({ length: width }, (_, column) => {
    const value = values[Math.floor(((column + 1) * longest) / width) - 1];
    if (value === undefined || !Number.isFinite(value)) return " ";
    const share = most > least ? (value - least) / (most - least) : 1;
    return levels[Math.round(share * (levels.length - 1))] ?? " ";
  });
  return columns.join("").trimEnd();
}

function percent(value: number | undefined): string {
  if (value === undefined) return "";
  return Number.isFinite(value) ? `${value.toFixed(2)} %` : "not a number";
}
