import { countsTable, warningsOf } from "../../data/describe.ts";
import { measuredPart } from "../../data/part-name.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Progress } from "../../progress.ts";
import { openProgress } from "../../progress.ts";
import { keepOrigin } from "../../report/origin.ts";
import { checkpointsReporter } from "../../reporters/checkpoints.ts";
import { curvesReporter, metricsReporter } from "../../reporters/files.ts";
import { hintReporter } from "../../reporters/hint.ts";
import { type ReportedRun, reportReporter } from "../../reporters/report.ts";
import type { Reporter } from "../../reporters/reporter.ts";
import { tensorboardReporter } from "../../reporters/tensorboard.ts";
import { terminalReporter } from "../../reporters/terminal.ts";
import { say } from "../../terminal.ts";
import type { TrainGiven } from "./command.ts";
import { loadSets, withData } from "./data.ts";
import { tryRun } from "./dry-run.ts";
import { explained, resumeCommand } from "./failure.ts";
import { finish } from "./finish.ts";
import { prepareNewRun } from "./new-run.ts";
import { describeRun } from "./opening-lines.ts";
import type { DataSets, PreparedRun } from "./prepared-run.ts";
import { prepareResumedRun } from "./resumed-run.ts";
import { handleSignals, type SignalHandling, Stopping } from "./stopping.ts";
import { trainRun } from "./training.ts";

export async function run(given: TrainGiven): Promise<number> {
  const progress = openProgress();
  const stopping = new Stopping();
  const signals = handleSignals(stopping, {
    onStop: () => say("\nFinishing this step and saving it; Ctrl-C again stops at once."),
    onEnd: () => progress.stop(),
  });
  try {
    const prepared = await (given.resume === undefined
      ? prepareNewRun(given, progress)
      : prepareResumedRun(given, progress));
    const sets = await loadSets(prepared);
    const checkpoint = withData(prepared, sets.trainSet);
    if (given.dryRun) return await tryRun(prepared, sets, checkpoint, { ...given, progress });
    return await trainAndFinish(prepared, sets, checkpoint, { given, progress, stopping, signals });
  } finally {
    signals.close();
  }
}

/** What a command that trains has opened. */
interface Opened {
  readonly given: TrainGiven;
  readonly progress: Progress;
  readonly stopping: Stopping;
  readonly signals: SignalHandling;
}

async function trainAndFinish(
  prepared: PreparedRun,
  sets: DataSets,
  checkpoint: Uint8Array,
  { given, progress, stopping, signals }: Opened,
): Promise<number> {
  const engine = await prepared.openEngine(checkpoint);
  try {
    const directory = await prepared.openDirectory(checkpoint);
    await keepOrigin(directory, shakeCommand(...process.argv.slice(2)));
    say(describeRun(directory.path, prepared, sets));
    const { own } = prepared.data;
    if (own) say(["", countsTable(own), "", ...warningsOf(own)].join("\n"));
    const task = prepared.taskOf(sets, engine.device);
    const { device } = engine;
    const reported = { directory, prepared, sets, device, progress };
    const reporters = await reportersOf(reported, task.stepsPerEpoch);
    const deadline = 1000 * (given.maxTime ?? Number.POSITIVE_INFINITY);
    const trained = await signals
      .whileTraining(() => trainRun({ directory, engine, task, reporters, stopping, deadline }))
      .catch(async (error: unknown) => {
        throw await explained(error, directory, prepared);
      })
      .finally(() => progress.stop());
    if (trained && stopping.reason === "signal") {
      await directory.close();
      say(`Stopped after step ${trained.step}, which is saved. To go on:\n  ${resumeCommand(directory)}`);
      return 130;
    }
    const { testSet } = sets;
    const json = given.json === true;
    await finish(directory, prepared, {
      reporters,
      json,
      progress,
      device,
      task,
      testSet,
      trained,
      stopping,
    });
    await directory.close();
    return 0;
  } finally {
    await engine.session.release();
  }
}

async function reportersOf(reported: ReportedRun, stepsPerEpoch: number): Promise<readonly Reporter[]> {
  const { directory, prepared, progress } = reported;
  const { config, description, hint } = prepared;
  const { epochs, tensorboard } = config;
  return [
    terminalReporter(progress, { epochs, part: measuredPart(config) }),
    metricsReporter(directory),
    checkpointsReporter(directory, stepsPerEpoch),
    curvesReporter(directory, description.title),
    reportReporter(reported),
    ...(tensorboard ? [await tensorboardReporter(directory, epochs * stepsPerEpoch)] : []),
    ...(hint ? [hintReporter(progress, hint)] : []),
  ];
}
