import { type MpiLink, RankError } from "../../../runtime/node/index.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import { countsTable, warningsOf } from "../../data/describe.ts";
import { measuredPart } from "../../data/part-name.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Progress } from "../../progress.ts";
import { openProgress } from "../../progress.ts";
import { joinRanks } from "../../ranks.ts";
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
import { adviceFor, explained, resumeCommand } from "./failure.ts";
import { finish } from "./finish.ts";
import { prepareNewRun } from "./new-run.ts";
import { describeRun } from "./opening-lines.ts";
import type { TrainRun } from "./prepared-run.ts";
import { prepareResumedRun } from "./resumed-run.ts";
import { describeCommunication, StepTraffic } from "./step-traffic.ts";
import { handleSignals, type SignalHandling, Stopping } from "./stopping.ts";
import { givenToRanks, prepareTogether, type ReadyRun, shareFolder } from "./together.ts";
import { trainRun } from "./training.ts";

export async function run(said: TrainGiven): Promise<number> {
  const link = await joinRanks();
  const given = await givenToRanks(said, link);
  const progress = openProgress();
  const stopping = new Stopping({ needsAgreement: link !== undefined });
  const signals = handleSignals(stopping, {
    onStop: () => say("\nFinishing this step and saving it; Ctrl-C again stops at once."),
    onEnd: () => progress.stop(),
  });
  try {
    const prepare = () => prepareRun(given, progress);
    const ready = await (link ? prepareTogether(link, prepare, progress, given) : prepare());
    if (given.dryRun) return await tryRun(ready, { ...given, progress, link });
    return await trainAndFinish(ready, { given, link, progress, stopping, signals });
  } finally {
    signals.close();
  }
}

async function prepareRun(given: TrainGiven, progress: Progress): Promise<ReadyRun> {
  const prepared = await (given.resume === undefined
    ? prepareNewRun(given, progress)
    : prepareResumedRun(given, progress));
  const sets = await loadSets(prepared);
  return { prepared, sets, checkpoint: withData(prepared, sets.trainSet) };
}

/** What a command that trains has opened. */
interface Opened {
  readonly given: TrainGiven;
  readonly link: MpiLink | undefined;
  readonly progress: Progress;
  readonly stopping: Stopping;
  readonly signals: SignalHandling;
}

async function trainAndFinish(ready: ReadyRun, opened: Opened): Promise<number> {
  const { link } = opened;
  const engine = await ready.prepared.openEngine(ready.checkpoint, link);
  try {
    return await (link && link.rank > 0
      ? followRun(ready, engine, { ...opened, link })
      : leadRun(ready, engine, opened));
  } finally {
    await engine.session.release();
  }
}

/**
 * Trains a run on rank 0, or alone: writes its folder, and tells how it goes. The folder is made last, when
 * nothing is left to refuse.
 */
async function leadRun(
  ready: ReadyRun,
  engine: ShakeNetEngine,
  { given, link, progress, stopping, signals }: Opened,
): Promise<number> {
  const { prepared, sets } = ready;
  const { device } = engine;
  const task = prepared.taskOf(sets, device, link);
  const directory = await openFolder(ready, link);
  const reporters = await reportersOf({ directory, prepared, sets, device, progress }, task.stepsPerEpoch);
  const deadline = deadlineOf(given);
  const traffic = link && new StepTraffic(link);
  const trained = await signals
    .whileTraining(() => trainRun({ directory, engine, link, traffic, task, reporters, stopping, deadline }))
    .catch(async (error: unknown) => {
      throw await explained(error, directory, prepared);
    })
    .finally(() => progress.stop());
  const communication = traffic?.result;
  if (communication) say(describeCommunication(communication));
  if (trained && stopping.reason === "signal") {
    await directory.close();
    say(`Stopped after step ${trained.step}, which is saved. To go on:\n  ${resumeCommand(directory)}`);
    return 130;
  }
  await finish(directory, prepared, {
    reporters,
    json: given.json === true,
    progress,
    device,
    task: prepared.taskOf(sets, device),
    testSet: sets.testSet,
    trained,
    stopping,
    communication,
  });
  await directory.close();
  return 0;
}

/** Opens the folder of a run, shares its place with the other ranks, and says what is trained. */
async function openFolder(
  { prepared, sets, checkpoint }: ReadyRun,
  link: MpiLink | undefined,
): Promise<TrainRun> {
  const directory = await prepared.openDirectory(checkpoint);
  await keepOrigin(directory, shakeCommand(...process.argv.slice(2)));
  const { path } = directory;
  if (link) await shareFolder(link, { path, records: await directory.records() });
  say(describeRun(path, prepared, sets));
  const { own } = prepared.data;
  if (own) say(["", countsTable(own), "", ...warningsOf(own)].join("\n"));
  return directory;
}

/** Trains a run on another rank than the first, which keeps nothing and tells nothing. */
async function followRun(
  { prepared, sets }: ReadyRun,
  engine: ShakeNetEngine,
  { given, link, stopping, signals }: Opened & { readonly link: MpiLink },
): Promise<number> {
  const task = prepared.taskOf(sets, engine.device, link);
  const { path, records } = await shareFolder(link);
  const { config } = prepared;
  const directory = { config, records: async () => [...records], save: async () => {} };
  const deadline = deadlineOf(given);
  const trained = await signals
    .whileTraining(() => trainRun({ directory, engine, link, task, reporters: [], stopping, deadline }))
    .catch((error: unknown) => {
      throw error instanceof RankError ? error.withAdvice(adviceFor({ path })) : error;
    });
  return trained && stopping.reason === "signal" ? 130 : 0;
}

/** The moment after which no further step begins, on the clock of `performance.now`. */
function deadlineOf({ maxTime = Number.POSITIVE_INFINITY }: TrainGiven): number {
  return 1000 * maxTime;
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
