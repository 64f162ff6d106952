import { join } from "node:path";
import { writeFileAtomic } from "../../runtime/node/index.ts";
import type { RunFacts } from "./facts.ts";
import { type Measurement, measure } from "./measure.ts";
import { predictionsCsv } from "./predictions-csv.ts";
import { reportPage } from "./report-page.ts";

/** Where a report goes. */
export interface ReportPaths {
  readonly report: string;
  readonly predictions: string;
}

/** The files of the report of a run; `of` names another data set than the run's own. */
export function reportPaths(run: string, of?: string): ReportPaths {
  const end = of === undefined ? "" : `-${of.replace(/[^\w.-]+/g, "-")}`;
  return { report: join(run, `report${end}.html`), predictions: join(run, `predictions${end}.csv`) };
}

/** What a report is made of. */
export interface ReportParts {
  readonly run: RunFacts;
  /** Undefined where the network cannot be run, or there are no pictures. */
  readonly measurement: Measurement | undefined;
  readonly notes: readonly string[];
}

/**
 * Writes the report, and the predictions where something is measured, each atomically. Returns what was
 * measured.
 */
export async function writeReport(
  paths: ReportPaths,
  { run, measurement, notes }: ReportParts,
  onProgress: Parameters<typeof measure>[1],
) {
  const found = measurement && (await measure(measurement, onProgress));
  if (measurement && found) {
    const { dataset } = measurement;
    await writeFileAtomic(paths.predictions, predictionsCsv(found.predictions, dataset, dataset.classNames));
  }
  await writeFileAtomic(paths.report, reportPage({ run, measured: found?.facts, notes }));
  return found?.facts;
}
