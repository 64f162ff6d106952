import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { type Dataset, evaluationBatchSize } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { openClassifier } from "../../../shakenet/index.ts";
import { pictureFaults } from "../../data/describe.ts";
import { loadMeasured } from "../../data/measured.ts";
import { openData } from "../../data/open-data.ts";
import { formatFields } from "../../format.ts";
import { type AnyRun, openAnyRun } from "../../models/any-run.ts";
import { type MeasuredModel, openMeasuredModel } from "../../models/measured-model.ts";
import { openScalingClassifier, type ScalingClassifier } from "../../models/scaling-classifier.ts";
import { expectOutputFile } from "../../output.ts";
import { openProgress, type Progress } from "../../progress.ts";
import type { MeasuredFacts, RunFacts } from "../../report/facts.ts";
import { countsOf, type Measurement } from "../../report/measure.ts";
import { runFacts } from "../../report/run-facts.ts";
import { type ReportPaths, reportPaths, writeReport } from "../../report/write-report.ts";
import { complete } from "../../settings.ts";
import { print, say } from "../../terminal.ts";
import { type ReportGiven, reportCommand } from "./command.ts";
import { openInBrowser } from "./open-in-browser.ts";

export async function run(given: ReportGiven): Promise<number> {
  const { run: path = "", out, data, json } = given;
  const ofRun = await openAnyRun(path);
  const sources = [path, data, ofRun.config.data].filter((each) => each !== undefined);
  for (const each of out === undefined ? [] : Object.values(pathsOf(out)))
    await expectOutputFile(each, ...sources);
  const notes: string[] = [];
  const note = (sentence: string) => {
    say(`Warning: ${sentence}`);
    notes.push(sentence);
  };
  const progress = openProgress();
  const facts = await runFacts(ofRun, note);
  const trained = await trainingPictures(ofRun, progress);
  notes.push(...trained.faults);
  const opened = await openMeasurement(given, trained.counts, progress).catch((error: unknown) => {
    // where other pictures were asked for, a report without them is not wanted
    if (!(error instanceof UserError) || data !== undefined) throw error;
    note(error.message);
    return undefined;
  });
  try {
    const name = data === undefined ? undefined : opened?.measurement.dataset.name;
    const paths = out === undefined ? reportPaths(path, name) : pathsOf(out);
    const measured = await writeReport(
      paths,
      { run: facts, measurement: opened?.measurement, notes },
      ({ done, of }) => progress.update(done, of, `${done} of ${of} images`),
    );
    progress.stop();
    print(json ? JSON.stringify(jsonOf(paths, facts, measured)) : describe(paths, facts, measured));
    if (given.open) await openInBrowser(paths.report);
  } finally {
    progress.stop();
    await opened?.classifier.release();
  }
  return 0;
}

function pathsOf(out: string): ReportPaths {
  return { report: out, predictions: `${out.replace(/\.html?$/i, "")}.csv` };
}

interface OpenedMeasurement {
  readonly measurement: Measurement;
  readonly classifier: ScalingClassifier;
}

async function openMeasurement(
  given: ReportGiven,
  trainCounts: readonly number[] | undefined,
  progress: Progress,
): Promise<OpenedMeasurement> {
  const { device: name, threads, batchSize, checkpoint } = complete(reportCommand.settings, given);
  const model = await openMeasuredModel(given.run ?? "", checkpoint);
  const { bytes, what, run: ofRun } = model;
  const device = await openDevice(name, { threads });
  const { dataset, part } = await loadMeasured(
    {
      given: { data: given.data, dataDir: given.dataDir },
      run: ofRun,
      metadata: decodeMetadata(bytes, what),
      what,
      size: () => sizeOf(model, device),
      limit: given.testLimit ?? ofRun?.testLimit,
    },
    progress,
  );
  const classifier = await openScalingClassifier(bytes, device, what, dataset.size);
  const logitsOf = async ({ images }: { readonly images: Uint8Array }) => classifier.logits(images);
  const size = evaluationBatchSize(device, batchSize);
  return { classifier, measurement: { what, dataset, part, batchSize: size, logitsOf, trainCounts } };
}

async function sizeOf({ bytes, what }: MeasuredModel, device: Parameters<typeof openClassifier>[1]) {
  const classifier = await openClassifier(bytes, device, what);
  await classifier.release();
  return classifier.imageSize;
}

/**
 * The training pictures of each class of a run, as far as they are there, and what is wrong with pictures.
 */
async function trainingPictures(
  { config }: AnyRun,
  progress: Progress,
): Promise<{ readonly counts: readonly number[] | undefined; readonly faults: readonly string[] }> {
  try {
    const opened = await openData(config, progress);
    try {
      const { labels, classNames }: Pick<Dataset, "labels" | "classNames"> = await opened.load(
        "train",
        config.trainLimit,
      );
      const faults = opened.own ? pictureFaults(opened.own) : [];
      return { counts: countsOf(labels, classNames.length), faults };
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { counts: undefined, faults: [] };
  }
}

function describe(
  { report, predictions }: ReportPaths,
  { network, state, data }: RunFacts,
  measured: MeasuredFacts | undefined,
): string {
  const evaluation = measured?.evaluation;
  return formatFields({
    run: `${network} on ${data}, ${state}`,
    measured:
      evaluation &&
      `accuracy ${evaluation.accuracy.toFixed(2)} % of ${evaluation.images.toLocaleString("en-US")} images of ${measured.data}`,
    report,
    predictions: measured && predictions,
  });
}

function jsonOf(
  { report, predictions }: ReportPaths,
  { path, state, network }: RunFacts,
  measured: MeasuredFacts | undefined,
): object {
  const evaluation = measured?.evaluation;
  return {
    run: path,
    network,
    state,
    report,
    ...(measured && evaluation
      ? {
          predictions,
          data: measured.data,
          part: measured.part,
          images: evaluation.images,
          accuracy: evaluation.accuracy,
          loss: evaluation.loss,
          calibration_error: evaluation.reliability.expectedError,
        }
      : {}),
  };
}
