import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
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
import { loadMeasured } from "../../data/measured.ts";
import { shakeCommand } from "../../invocation.ts";
import { openMeasuredModel } from "../../models/measured-model.ts";
import { openFed, openScalingClassifier, type ScalingClassifier } from "../../models/scaling-classifier.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { print } from "../../terminal.ts";
import { type EvalGiven, evalCommand } from "./command.ts";
import { describe, factsOf } from "./describe.ts";

export async function run(given: EvalGiven): Promise<number> {
  const { bytes, what, run: ofRun, isOfRun } = await openMeasuredModel(pathOf(given), given.checkpoint);
  const { batchSize, device: name, threads, tta, json } = complete(evalCommand.settings, given);
  const device = await openDevice(name, { threads });
  const size = async () => {
    const classifier = await openFed(bytes, device, what, given);
    await classifier.release();
    return classifier.imageSize;
  };
  const { data: named, dataDir } = given;
  const limit = given.testLimit ?? (isOfRun ? ofRun?.testLimit : undefined);
  const choice = { given: { data: named, dataDir }, run: ofRun, metadata: decodeMetadata(bytes, what), what };
  const { dataset, part } = await loadMeasured({ ...choice, size, limit }, openProgress());
  const classifier = await openScalingClassifier(bytes, device, what, dataset.size, given);
  try {
    const scores = await score(classifier, dataset, batchSize, tta === true);
    const measured = { ...scores, what, data: dataset.name, part, classNames: dataset.classNames };
    print(json ? JSON.stringify(factsOf(measured)) : describe(measured));
  } finally {
    await classifier.release();
  }
  return 0;
}

/** What is to be measured. Throws UserError where nothing is named, and where two are. */
function pathOf({ file, run, model }: EvalGiven): string {
  const [path, second] = [file, run, model].filter((each) => each !== undefined);
  if (path !== undefined && second === undefined) return path;
  if (path !== undefined) {
    throw new UserError(`shake eval measures one thing at a time, and ${path} and ${second} are named.`, {
      code: "setting-conflict",
      details: { path, second },
    });
  }
  throw new UserError(
    `shake eval needs a run, a checkpoint or a model: ${shakeCommand("eval", "runs/NAME")}.`,
    { code: "setting-missing", details: { setting: "file" } },
  );
}

/** The evaluations of a data set. */
export interface Scores {
  readonly plain: Evaluation;
  /** With mirrored images too; undefined where it was not asked for. */
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
