import { basename, dirname } from "node:path";
import { readFileBytes } from "../../../artifacts/index.ts";
import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { datasets, isDatasetName } from "../../../runtime/data/dataset.ts";
import {
  type Dataset,
  type Evaluation,
  type EvaluationBatch,
  type EvaluationProgress,
  evaluate,
  evaluateMirrored,
  resultOf,
} from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { isRun } from "../../../runtime/node/run/run-directory.ts";
import { openClassifier } from "../../../shakenet/index.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { frozenModel } from "../../../shakenet/provenance.ts";
import { loadMeasured, type RunData } from "../../data/measured.ts";
import { formatTable } from "../../format.ts";
import { exportedRun, findModelRun, type ModelRun } from "../../models/model-run.ts";
import {
  feedingFrom,
  openScalingClassifier,
  type ScalingClassifier,
} from "../../models/scaling-classifier.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { print } from "../../terminal.ts";
import { type EvalGiven, evalCommand } from "./command.ts";

export async function run(given: EvalGiven): Promise<number> {
  const { bytes, what, run: ofRun, limit } = await openModel(given);
  const { batchSize, device: name, threads, tta, json } = complete(evalCommand.settings, given);
  const device = await openDevice(name, { threads });
  const size = async () => {
    const classifier = await openClassifier(bytes, device, what, feedingFrom(given));
    await classifier.release();
    return classifier.imageSize;
  };
  const { data: named, dataDir } = given;
  const choice = { given: { data: named, dataDir }, run: ofRun, metadata: decodeMetadata(bytes, what), what };
  const dataset = await loadMeasured({ ...choice, size, limit }, openProgress());
  const { name: data } = dataset;
  const classifier = await openScalingClassifier(bytes, device, what, dataset.size, feedingFrom(given));
  const { plain: evaluation, mirrored } = await score(classifier, dataset, batchSize, tta === true);
  await classifier.release();
  const perClass = evaluation.perClass.filter(({ images }) => images > 0);
  if (json) {
    const { loss, accuracy, images } = evaluation;
    const rows = perClass.map(({ className, images: of, correct }) => ({
      class: className,
      images: of,
      correct,
    }));
    const averaged = mirrored && { tta_loss: mirrored.loss, tta_accuracy: mirrored.accuracy };
    print(JSON.stringify({ model: what, data, images, loss, accuracy, ...averaged, per_class: rows }));
    return 0;
  }
  const rows = perClass.map(({ className, images, correct }) => [
    className,
    images,
    correct,
    percent(correct, images),
  ]);
  print(
    `${formatTable(["class", "images", "correct", "accuracy"], rows)}\n\n` +
      `${what} on ${describeName(data)}: loss ${evaluation.loss.toFixed(4)}, accuracy ${evaluation.accuracy.toFixed(2)} % of ${evaluation.images.toLocaleString("en-US")} images${mirrored ? `\nwith mirrored images too: loss ${mirrored.loss.toFixed(4)}, accuracy ${mirrored.accuracy.toFixed(2)} %` : ""}`,
  );
  return 0;
}

interface OpenedModel {
  readonly bytes: Uint8Array;
  readonly what: string;
  /** What the run of the model says of its data. */
  readonly run?: RunData | undefined;
  readonly limit: number | undefined;
}

async function openModel(given: EvalGiven): Promise<OpenedModel> {
  if ((given.run === undefined) === (given.model === undefined)) {
    throw new UserError("shake eval needs either --run DIR or --model FILE.", { code: "setting-missing" });
  }
  if (given.model !== undefined) {
    const bytes = await readFileBytes(given.model);
    const config = await configBeside(given.model);
    return { bytes, what: given.model, run: config, limit: given.testLimit };
  }
  const ofModel = await findModelRun(given.run ?? "");
  if (ofModel) return openModelRun(ofModel, given);
  const directory = await openRun(given.run ?? "");
  const { config } = directory;
  const kind = given.checkpoint ?? "last";
  const path = directory.checkpointPath(kind);
  const bytes = frozenModel(await directory.checkpoint(kind), path);
  return { bytes, what: path, run: config, limit: given.testLimit ?? config.testLimit };
}

/** The settings of the run that a model lies in the folder of; undefined where it lies elsewhere. */
async function configBeside(model: string): Promise<RunData | undefined> {
  const path = dirname(model);
  if (basename(model) !== "model.onnx" || !(await isRun(path))) return undefined;
  return ((await findModelRun(path)) ?? (await openRun(path))).config;
}

async function openModelRun(run: ModelRun, given: EvalGiven): Promise<OpenedModel> {
  const { config } = run;
  const kind = given.checkpoint ?? "last";
  return {
    bytes: await exportedRun(run, await run.checkpoint(kind)),
    what: run.checkpointPath(kind),
    run: config,
    limit: given.testLimit ?? config.testLimit,
  };
}

interface Scores {
  readonly plain: Evaluation;
  /** Undefined where it was not asked for. */
  readonly mirrored?: Evaluation | undefined;
}

async function score(
  classifier: ScalingClassifier,
  dataset: Dataset,
  batchSize: number,
  isMirrored: boolean,
): Promise<Scores> {
  const progress = openProgress();
  const logitsOf = async ({ images }: EvaluationBatch) => {
    const logits = await classifier.logits(images);
    const [, classes = 0] = logits.dims;
    if (classes >= dataset.classNames.length) return logits;
    throw new UserError(
      `The model has ${classes} classes, and ${dataset.name} has ${dataset.classNames.length}.`,
      { code: "data-mismatch" },
    );
  };
  const show = ({ done, of }: EvaluationProgress) => progress.update(done, of, `${done} of ${of} images`);
  try {
    if (isMirrored) return await resultOf(evaluateMirrored(dataset, batchSize, logitsOf), show);
    return { plain: await resultOf(evaluate(dataset, batchSize, logitsOf), show) };
  } finally {
    progress.stop();
  }
}

/** The title of a data set that is known by name; other names as they are. */
function describeName(name: string): string {
  return isDatasetName(name) ? datasets[name].title : name;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(2)} %`;
}
