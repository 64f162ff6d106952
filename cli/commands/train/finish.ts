import { join } from "node:path";
import { averagedCheckpoint } from "../../../artifacts/averages.ts";
import type { Checkpoint } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import {
  type ClassificationTask,
  type Dataset,
  type Device,
  evaluateMirrored,
  evaluationBatchSize,
  resultOf,
} from "../../../runtime/index.ts";
import { measuredPart } from "../../data/part-name.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Progress } from "../../progress.ts";
import type { Reporter, ReportFile } from "../../reporters/reporter.ts";
import { print, say } from "../../terminal.ts";
import { describeStop } from "./early-end.ts";
import type { Subject, TrainRun } from "./prepared-run.ts";
import type { Communication } from "./step-traffic.ts";
import type { Stopping, StopReason } from "./stopping.ts";
import type { Trained } from "./training.ts";

/** The result of a run, as `--json` prints it. */
interface Result {
  readonly run_dir: string;
  readonly test_accuracy: number;
  /** With mirrored images too, where the run asks for it. */
  readonly test_accuracy_tta?: number;
  readonly train_accuracy: number;
  readonly images_per_second: number;
  readonly parameters: number;
  readonly model: string;
  /** What ended the run before its last epoch, and the step. */
  readonly stopped?: StopReason;
  readonly step?: number;
  /** What the exchanges of rank 0 cost, where the run has several ranks. */
  readonly communication?: Communication;
}

/** What the end of a run needs beside its folder. */
interface Ending {
  readonly reporters: readonly Reporter[];
  readonly json: boolean;
  readonly progress: Progress;
  readonly device: Device;
  readonly task: ClassificationTask;
  readonly testSet: Dataset;
  /** Where the run was stopped; undefined where its last epoch is done. */
  readonly trained: Trained | undefined;
  readonly stopping: Stopping;
  readonly communication: Communication | undefined;
}

/**
 * Exports the last weights, as the paper reports them, lets the reporters finish, and prints what to do next.
 */
export async function finish(directory: TrainRun, subject: Subject, ending: Ending): Promise<void> {
  const { reporters, json, stopping, communication, task } = ending;
  const { config, path } = directory;
  const checkpoint = await directory.checkpoint("last");
  const outcome = await outcomeOf(directory, checkpoint, ending);
  const bytes = subject.freeze(checkpoint, directory.checkpointPath("last"), outcome.test_accuracy);
  const model = await directory.writeModel(bytes);
  const files: ReportFile[] = [{ path: model, what: "the network, for any ONNX runtime" }];
  for (const reporter of reporters) {
    const file = await reporter.finish?.();
    if (file) files.push(file);
  }
  // what comes in the last step ends nothing
  const isWhole = outcome.step >= config.epochs * task.stepsPerEpoch;
  const reason = isWhole ? undefined : stopping.reason;
  const result: Result = {
    run_dir: path,
    test_accuracy: outcome.test_accuracy,
    ...(config.tta ? { test_accuracy_tta: await accuracyWithMirrors(bytes, ending, subject) } : {}),
    train_accuracy: outcome.train_accuracy,
    images_per_second: outcome.images_per_second,
    parameters: subject.manifest.parameters,
    model,
    ...(reason === undefined ? {} : { stopped: reason, step: outcome.step }),
    ...(communication ? { communication } : {}),
  };
  if (reason !== undefined) say(await describeStop(reason, directory, task.stepsPerEpoch));
  print(json ? JSON.stringify(result) : summary(result, files, subject));
}

/** What a run has come to at its last checkpoint. */
interface Outcome extends Trained {
  readonly test_accuracy: number;
}

/** The record of the last epoch; a new evaluation where the run was stopped behind it. */
async function outcomeOf(
  directory: TrainRun,
  checkpoint: Checkpoint,
  { trained, task, progress }: Ending,
): Promise<Outcome> {
  const last = (await directory.records()).at(-1);
  if (!trained || last?.step === trained.step) {
    if (last) return last;
    throw new UserError(`${join(directory.path, "metrics.jsonl")} holds no epoch.`, {
      code: "metrics-damaged",
    });
  }
  const part = measuredPart(directory.config);
  try {
    const { accuracy } = await resultOf(task.evaluate(averagedCheckpoint(checkpoint)), ({ done, of }) =>
      progress.update(done, of, `${part} images: ${done} of ${of}`),
    );
    return { ...trained, test_accuracy: accuracy };
  } finally {
    progress.stop();
  }
}

async function accuracyWithMirrors(
  model: Uint8Array,
  { progress, device, testSet }: Ending,
  { config, openClassifier }: Subject,
): Promise<number> {
  const classifier = await openClassifier(model, device);
  const part = measuredPart(config);
  try {
    const size = evaluationBatchSize(device, config.batchSize);
    const evaluation = evaluateMirrored(testSet, size, ({ images }) => classifier.logits(images));
    const { mirrored } = await resultOf(evaluation, ({ done, of }) =>
      progress.update(done, of, `${part} images, mirrored too: ${done} of ${of}`),
    );
    return mirrored.accuracy;
  } finally {
    await classifier.release();
    progress.stop();
  }
}

function summary(
  { run_dir, test_accuracy, test_accuracy_tta, model }: Result,
  files: readonly ReportFile[],
  { description: { file }, config }: Subject,
): string {
  const part = { validation: "Validation", test: "Test" }[measuredPart(config)];
  return [
    "",
    `${part} accuracy ${test_accuracy.toFixed(2)} %`,
    ...(test_accuracy_tta === undefined
      ? []
      : [`With mirrored images too ${test_accuracy_tta.toFixed(2)} %`]),
    "",
    ...files.map(({ path, what }) => `  ${path}  ${what}`),
    "",
    "Next:",
    `  ${shakeCommand("eval", run_dir)}`,
    `  ${shakeCommand("inspect", model)}`,
    `  ${shakeCommand("export", run_dir, "--out", file)}`,
  ].join("\n");
}
