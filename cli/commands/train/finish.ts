import { join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import {
  type Dataset,
  type Device,
  evaluateMirrored,
  evaluationBatchSize,
  resultOf,
} from "../../../runtime/index.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Progress } from "../../progress.ts";
import type { Reporter, ReportFile } from "../../reporters/reporter.ts";
import { print } from "../../terminal.ts";
import type { Subject, TrainRun } from "./prepared-run.ts";

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
}

/** What the end of a run needs beside its folder. */
interface Ending {
  readonly reporters: readonly Reporter[];
  readonly json: boolean;
  readonly progress: Progress;
  readonly device: Device;
  readonly testSet: Dataset;
}

/**
 * Exports the last weights, as the paper reports them, lets the reporters finish, and prints what to do next.
 */
export async function finish(directory: TrainRun, subject: Subject, ending: Ending): Promise<void> {
  const { reporters, json } = ending;
  const { config, path } = directory;
  const last = (await directory.records()).at(-1);
  if (!last)
    throw new UserError(`${join(path, "metrics.jsonl")} holds no epoch.`, { code: "metrics-damaged" });
  const checkpoint = await directory.checkpoint("last");
  const bytes = subject.freeze(checkpoint, directory.checkpointPath("last"), last.test_accuracy);
  const model = await directory.writeModel(bytes);
  const files: ReportFile[] = [{ path: model, what: "the network, for any ONNX runtime" }];
  for (const reporter of reporters) {
    const file = await reporter.finish?.();
    if (file) files.push(file);
  }
  const result: Result = {
    run_dir: path,
    test_accuracy: last.test_accuracy,
    ...(config.tta ? { test_accuracy_tta: await accuracyWithMirrors(bytes, ending, subject) } : {}),
    train_accuracy: last.train_accuracy,
    images_per_second: last.images_per_second,
    parameters: subject.manifest.parameters,
    model,
  };
  print(json ? JSON.stringify(result) : summary(result, files, subject));
}

async function accuracyWithMirrors(
  model: Uint8Array,
  { progress, device, testSet }: Ending,
  { config: { batchSize }, openClassifier }: Subject,
): Promise<number> {
  const classifier = await openClassifier(model, device);
  try {
    const evaluation = evaluateMirrored(testSet, evaluationBatchSize(device, batchSize), ({ images }) =>
      classifier.logits(images),
    );
    const { mirrored } = await resultOf(evaluation, ({ done, of }) =>
      progress.update(done, of, `testing ${done} of ${of}, mirrored too`),
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
  { description: { file }, config: { pictures } }: Subject,
): string {
  return [
    "",
    `${pictures ? "Validation" : "Test"} accuracy ${test_accuracy.toFixed(2)} %`,
    ...(test_accuracy_tta === undefined
      ? []
      : [`With mirrored images too ${test_accuracy_tta.toFixed(2)} %`]),
    "",
    ...files.map(({ path, what }) => `  ${path}  ${what}`),
    "",
    "Next:",
    `  ${shakeCommand("eval", "--run", run_dir)}`,
    `  ${shakeCommand("inspect", model)}`,
    `  ${shakeCommand("export", run_dir, "--out", file)}`,
  ].join("\n");
}
