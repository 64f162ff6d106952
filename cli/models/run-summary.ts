import { stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../graph-builder/errors.ts";
import { describeData } from "../../runtime/data/dataset.ts";
import type { ClassificationRecord } from "../../runtime/index.ts";
import { networkOfRun, openAnyRun } from "./any-run.ts";
import { type RunState, runStateOf } from "./run-state.ts";

/** What a table of runs says of one. */
export interface RunSummary {
  readonly path: string;
  readonly state: RunState | "damaged";
  /** What is wrong with a damaged run, as a sentence. */
  readonly fault?: string;
  readonly network?: string;
  readonly data?: string;
  /** The epochs that the run was made for. */
  readonly epochs?: number;
  readonly records: readonly ClassificationRecord[];
  readonly settings: Readonly<Record<string, unknown>>;
  /** When its last epoch was measured, or it was begun, in milliseconds since 1970. */
  readonly time: number;
}

/** Summarises the run of a folder. A damaged one has a fault in place of what cannot be read. */
export async function summarizeRun(path: string): Promise<RunSummary> {
  const time = await changedAt(path);
  try {
    const run = await openAnyRun(path);
    const { config } = run;
    const { pictures: _, ...plain } = config;
    const settings = Object.entries(plain).filter(
      ([name, value]) => value !== undefined && name !== "feeding",
    );
    const records = await run.records();
    return {
      path,
      state: await runStateOf(run, records),
      network: networkOfRun(run),
      data: describeData(config).title,
      epochs: config.epochs,
      records,
      settings: Object.fromEntries(settings),
      time,
    };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { path, state: "damaged", fault: error.message, records: [], settings: {}, time };
  }
}

async function changedAt(path: string): Promise<number> {
  const times = await Promise.all(
    ["metrics.jsonl", "config.json"].map((name) => stat(join(path, name)).catch(() => undefined)),
  );
  return times.reduce((latest, found) => Math.max(latest, found?.mtimeMs ?? 0), 0);
}

/** The best accuracy of a run in percent; undefined where none was measured. */
export function bestAccuracy({ records }: Pick<RunSummary, "records">): number | undefined {
  const finite = records.map((record) => record.test_accuracy).filter(Number.isFinite);
  return finite.length === 0 ? undefined : finite.reduce((best, value) => Math.max(best, value));
}

/** The time of all epochs of a run, in seconds. */
export function secondsOf({ records }: Pick<RunSummary, "records">): number {
  return records.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** The settings that not all runs have alike: a name, and the value of each run. */
export function differingSettings(
  runs: readonly Pick<RunSummary, "settings">[],
): readonly { readonly name: string; readonly values: readonly unknown[] }[] {
  const names = [...new Set(runs.flatMap(({ settings }) => Object.keys(settings)))];
  return names
    .map((name) => ({ name, values: runs.map(({ settings }) => settings[name]) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}

/** A setting for people: a dash where a run does not have it, and a list without commas. */
export function settingText(value: unknown): string {
  if (value === undefined) return "–";
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
