import { join } from "node:path";
import { readFileBytes } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { type Device, evaluationBatchSize } from "../../runtime/index.ts";
import type { DataSets, PreparedRun, TrainRun } from "../commands/train/prepared-run.ts";
import { pictureFaults } from "../data/describe.ts";
import { measuredPart } from "../data/part-name.ts";
import { shakeCommand } from "../invocation.ts";
import { openAnyRun } from "../models/any-run.ts";
import type { Progress } from "../progress.ts";
import { countsOf } from "../report/measure.ts";
import { runFacts } from "../report/run-facts.ts";
import { reportPaths, writeReport } from "../report/write-report.ts";
import { say } from "../terminal.ts";
import type { Reporter } from "./reporter.ts";

/** What the report of a run is made of when its training ends. */
export interface ReportedRun {
  readonly directory: TrainRun;
  readonly prepared: PreparedRun;
  readonly sets: DataSets;
  readonly device: Device;
  readonly progress: Progress;
}

/**
 * Writes `report.html` and `predictions.csv` at the end of a run. Where that fails, a sentence says so, and
 * the run, whose model is written, ends as it would.
 */
export function reportReporter(reported: ReportedRun): Reporter {
  const { path } = reported.directory;
  return {
    report() {},
    async finish() {
      try {
        await writeReportOf(reported);
        return { path: reportPaths(path).report, what: "the report of the run, for a browser" };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        const command = shakeCommand("report", path);
        say(`The report could not be written: ${error.message} To write it:\n  ${command}`);
        return undefined;
      } finally {
        reported.progress.stop();
      }
    },
  };
}

async function writeReportOf({ directory, prepared, sets, device, progress }: ReportedRun): Promise<void> {
  const { config, data } = prepared;
  const { trainSet, testSet } = sets;
  const part = measuredPart(config);
  const notes = data.own ? pictureFaults(data.own) : [];
  const run = await runFacts(
    await openAnyRun(directory.path),
    (sentence) => notes.push(sentence),
    "finished",
  );
  const classifier = await prepared.openClassifier(
    await readFileBytes(join(directory.path, "model.onnx")),
    device,
  );
  try {
    const measurement = {
      what: directory.checkpointPath("last"),
      dataset: testSet,
      part,
      batchSize: evaluationBatchSize(device, config.batchSize),
      logitsOf: ({ images }: { readonly images: Uint8Array }) => classifier.logits(images),
      trainCounts: countsOf(trainSet.labels, trainSet.classNames.length),
    };
    await writeReport(reportPaths(directory.path), { run, measurement, notes }, ({ done, of }) =>
      progress.update(done, of, `${part} images for the report: ${done} of ${of}`),
    );
  } finally {
    await classifier.release();
  }
}
