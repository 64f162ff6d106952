import { UserError } from "../../../graph-builder/errors.ts";
import { stepsPerEpoch } from "../../../runtime/data/batches.ts";
import { describeData } from "../../../runtime/data/dataset.ts";
import {
  type CheckpointKind,
  type ClassificationTask,
  DivergedError,
  scheduleOf,
  train,
} from "../../../runtime/index.ts";
import { ReplicaError } from "../../../runtime/node/index.ts";
import { averageOf } from "../../../shakenet/node/loop-settings.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import { countsTable, warningsOf } from "../../data/describe.ts";
import { formatFields, formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { openProgress } from "../../progress.ts";
import { curvesReporter, metricsReporter } from "../../reporters/files.ts";
import { hintReporter } from "../../reporters/hint.ts";
import type { Reporter } from "../../reporters/reporter.ts";
import { terminalReporter } from "../../reporters/terminal.ts";
import { say } from "../../terminal.ts";
import type { TrainGiven } from "./command.ts";
import { loadSets, withData } from "./data.ts";
import { finish } from "./finish.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { prepareNewRun } from "./new-run.ts";
import type { DataSets, Subject, TrainConfig, TrainRun } from "./prepared-run.ts";
import { prepareResumedRun } from "./resumed-run.ts";

export async function run(given: TrainGiven): Promise<number> {
  const progress = openProgress();
  const prepared = await (given.resume === undefined
    ? prepareNewRun(given, progress)
    : prepareResumedRun(given, progress));
  const { config } = prepared;
  const sets = await loadSets(prepared);
  const checkpoint = withData(prepared, sets.trainSet);
  const engine = await prepared.openEngine(checkpoint);
  try {
    const directory = await prepared.openDirectory(checkpoint);
    say(describeRun(directory, prepared, sets));
    const { own } = prepared.data;
    if (own) say(["", countsTable(own), "", ...warningsOf(own)].join("\n"));
    const reporters = [
      terminalReporter(progress, config.epochs),
      metricsReporter(directory),
      curvesReporter(directory, prepared.description.title),
      ...(prepared.hint ? [hintReporter(progress, prepared.hint)] : []),
    ];
    const interrupt = listenForInterrupt({
      onFirst: () => say("\nFinishing this step and saving it; Ctrl-C again stops at once."),
      onSecond: () => progress.stop(),
    });
    const task = prepared.taskOf(sets, engine.device);
    const stoppedAt = await trainIn(directory, engine, task, reporters, interrupt.signal)
      .catch((error: unknown) => {
        throw explained(error, directory, prepared);
      })
      .finally(() => {
        interrupt.stop();
        progress.stop();
      });
    if (stoppedAt !== undefined) {
      say(`Stopped after step ${stoppedAt}, which is saved. To go on:\n  ${resumeCommand(directory)}`);
      return 130;
    }
    await finish(directory, prepared, {
      reporters,
      json: given.json === true,
      progress,
      device: engine.device,
      testSet: sets.testSet,
    });
    await directory.close();
    return 0;
  } finally {
    await engine.session.release();
  }
}

/** Trains to the end. Returns the step at which Ctrl-C stopped it, else undefined. */
async function trainIn(
  directory: TrainRun,
  { session, layOut }: ShakeNetEngine,
  task: ClassificationTask,
  reporters: readonly Reporter[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const store = {
    save: (kind: CheckpointKind, bytes: Uint8Array) => directory.save(kind, layOut(bytes)),
  };
  const { config } = directory;
  const settings = { ...config, learningRate: scheduleOf(config), average: averageOf(config), store, signal };
  let stoppedAt: number | undefined;
  for await (const event of train(session, task, settings)) {
    for (const reporter of reporters) await reporter.report(event);
    if (event.type === "interrupted") stoppedAt = event.step;
  }
  return stoppedAt;
}

/** An error that says which checkpoint is kept, and how the data may have been fed wrongly. */
function explained(error: unknown, directory: TrainRun, { hint }: Subject): unknown {
  if (error instanceof ReplicaError) {
    const message = `${error.message} The last checkpoint is kept; to go on:\n  ${resumeCommand(directory)}`;
    return new ReplicaError(message, { cause: error.cause, details: error.details });
  }
  if (!(error instanceof DivergedError)) return error;
  const { code, message, step, learningRate, savedStep, reason } = error;
  const path = directory.checkpointPath("last");
  const details = { step, learningRate, savedStep, reason, path };
  const advice = hint?.({ step, loss: Number.NaN });
  const sentences = [message, `It is ${path}.`, ...(advice === undefined ? [] : [advice])];
  return new UserError(sentences.join(" "), { code, details, cause: error });
}

function resumeCommand({ path }: TrainRun): string {
  return shakeCommand("train", "--resume", path);
}

function describeRun(
  { path, config }: TrainRun,
  { description, manifest: { parameters, cost } }: Subject,
  { trainSet, testSet }: DataSets,
): string {
  const steps = stepsPerEpoch(trainSet, config.batchSize);
  return formatFields({
    recipe: description.recipe,
    network: `${description.network}, ${parameters.toLocaleString("en-US")} parameters`,
    "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
    data: `${describeData(config).title}, ${trainSet.count.toLocaleString("en-US")} training and ${testSet.count.toLocaleString("en-US")} ${config.pictures ? "validation" : "test"} images`,
    training: `${config.epochs} epochs of ${steps} steps, batch ${config.batchSize}, learning rate ${config.learningRate}, ${description.optimizer}`,
    device: describeDevice(config),
    run: path,
  });
}

function describeDevice({ engine, device, replicas }: TrainConfig): string {
  if (engine === "ort-training") return "cpu, by ONNX Runtime 1.19.2's own training";
  return replicas > 1 ? `${device}, ${replicas} replicas` : device;
}
