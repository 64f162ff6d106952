import { averagedCheckpoint } from "../../../artifacts/averages.ts";
import { counted } from "../../../artifacts/counted.ts";
import { countIn, decodeCheckpoint } from "../../../artifacts/index.ts";
import { type SizedSteps, stepsBySize } from "../../../runtime/data/early-size.ts";
import { firstImages } from "../../../runtime/data/types.ts";

import { type ClassificationTask, evaluationBatchSize, type Link } from "../../../runtime/index.ts";
import { evaluationsLeft } from "../../../runtime/loop/pace.ts";
import { type TimedStep, timeStep } from "../../../runtime/loop/time-step.ts";
import { earlySizeOf } from "../../../shakenet/node/loop-settings.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import { countsTable, warningsOf } from "../../data/describe.ts";
import { measuredPart } from "../../data/part-name.ts";
import { formatFields, formatRate, formatSeconds, formatShortTime } from "../../format.ts";
import type { Progress } from "../../progress.ts";
import { print } from "../../terminal.ts";
import { describeRun } from "./opening-lines.ts";
import type { DataSets, PreparedRun } from "./prepared-run.ts";
import type { ReadyRun } from "./together.ts";

/** How a dry run is told, and the time that the run would have, in seconds. */
interface DryRunOptions {
  readonly json?: boolean | undefined;
  readonly maxTime?: number | undefined;
  readonly progress: Progress;
  /** Connects the ranks that would train together, all of which take the steps. */
  readonly link: Link | undefined;
}

/**
 * Takes two steps for each size of the training images and evaluates two batches as a run would, and prints
 * what the run is and when it would end. Writes nothing into the run's folder. Returns the exit code.
 */
export async function tryRun(
  { prepared, sets, checkpoint }: ReadyRun,
  { json, maxTime, progress, link }: DryRunOptions,
): Promise<number> {
  const engine = await prepared.openEngine(checkpoint, link);
  try {
    progress.update(0, 1, "timing a step");
    const measured = await measure(prepared, sets, checkpoint, engine);
    progress.stop();
    if (json) print(JSON.stringify(factsOf(prepared, sets, measured)));
    else print(describe(prepared, sets, measured, maxTime));
    return 0;
  } finally {
    progress.stop();
    await engine.session.release();
  }
}

/** The steps that are left with images of one size, and the time of one of them. */
type TimedSteps = SizedSteps & TimedStep;

/** What a dry run has found. Times are in seconds. */
interface Measured {
  /** In the order in which the run takes them. */
  readonly parts: readonly TimedSteps[];
  readonly evaluation: number;
  /** The number of evaluations that are left. */
  readonly evaluations: number;
  /** The steps that are left, and all of them. */
  readonly left: number;
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** The time of the steps and evaluations that are left. */
  readonly seconds: number;
  /** The most memory that the process has had, in megabytes. */
  readonly memory: number;
}

async function measure(
  prepared: PreparedRun,
  sets: DataSets,
  checkpoint: Uint8Array,
  engine: ShakeNetEngine,
): Promise<Measured> {
  const { config, where, taskOf } = prepared;
  const { epochs, evaluateEveryEpochs } = config;
  const task = taskOf(sets, engine.device);
  const { stepsPerEpoch } = task;
  const steps = epochs * stepsPerEpoch;
  const done = countIn(decodeCheckpoint(checkpoint, where).properties, "step", where) ?? 0;
  const parts = await timeParts(prepared, engine, task, done);
  const evaluation = await timeEvaluation(prepared, sets, engine);
  const evaluations = evaluationsLeft(Math.floor(done / stepsPerEpoch), epochs, evaluateEveryEpochs);
  return {
    parts,
    evaluation,
    evaluations,
    left: steps - done,
    steps,
    stepsPerEpoch,
    seconds: secondsOf(parts) + evaluations * evaluation,
    memory: (process.resourceUsage().maxRSS * 1024) / 1e6,
  };
}

/** Times a step of each size that the images still have; the last step of a run that is done. */
async function timeParts(
  { config }: PreparedRun,
  { session }: ShakeNetEngine,
  task: ClassificationTask,
  done: number,
): Promise<TimedSteps[]> {
  const { epochs, learningRate } = config;
  const { stepsPerEpoch } = task;
  const left = stepsBySize(done, { stepsPerEpoch, epochs }, earlySizeOf(config));
  const last = { first: epochs * stepsPerEpoch - 1, count: 0, isEarly: false };
  const parts: TimedSteps[] = [];
  for (const part of left.length > 0 ? left : [last]) {
    parts.push({ ...part, ...(await timeStep(session, task, part.first, learningRate)) });
  }
  return parts;
}

/** The seconds of one evaluation, from those of its first two batches. */
async function timeEvaluation(
  { config, taskOf }: PreparedRun,
  sets: DataSets,
  { device, session }: ShakeNetEngine,
): Promise<number> {
  const most = 2 * evaluationBatchSize(device, config.batchSize);
  const some = taskOf({ ...sets, testSet: firstImages(sets.testSet, most) }, device);
  const trained = averagedCheckpoint(await session.checkpoint());
  const laps: number[] = [performance.now()];
  let batch = most;
  for await (const { done } of some.evaluate(trained)) {
    batch = Math.min(batch, done);
    laps.push(performance.now());
  }
  const [start = 0, first = 0, second = first] = laps;
  const batches = Math.ceil(sets.testSet.count / batch);
  // the first batch comes after the model is opened
  return (first - start + (batches - 1) * (second - first)) / 1000;
}

function secondsOf(parts: readonly TimedSteps[]): number {
  return parts.reduce((sum, { count, seconds }) => sum + count * seconds, 0);
}

/** How many epochs are done after `maxTime` seconds. */
function epochsWithin(maxTime: number, measured: Measured): number {
  const { parts, evaluation, evaluations, left, steps, stepsPerEpoch } = measured;
  const evaluating = left > 0 ? (evaluations * evaluation) / left : 0;
  let [done, seconds] = [steps - left, maxTime];
  for (const part of parts) {
    const taken = Math.min(part.count, seconds / (part.seconds + evaluating));
    done += taken;
    seconds -= taken * (part.seconds + evaluating);
  }
  return done / stepsPerEpoch;
}

function describe(prepared: PreparedRun, sets: DataSets, measured: Measured, maxTime?: number): string {
  const { config, data } = prepared;
  const { evaluation, left, steps, seconds, memory } = measured;
  const part = measuredPart(config);
  const images = sets.testSet.count.toLocaleString("en-US");
  const within =
    maxTime === undefined || maxTime >= seconds
      ? undefined
      : `ends the run after about ${epochsWithin(maxTime, measured).toFixed(1)} epochs${left === steps ? fittingEpochs(config.epochs, maxTime / seconds) : ""}`;
  const fields = formatFields({
    step: measured.parts.map((each) => describeStep(each, config.earlySize)).join("; later "),
    evaluation: `${formatShortTime(evaluation)} for ${images} ${part} images`,
    memory: `${memory.toFixed(0)} MB of this process${config.device === "cuda" ? ", besides that of the GPU" : ""}`,
    "would end": `${localTime(seconds)}, after ${formatSeconds(seconds)} and ${left === steps ? "" : "another "}${counted(left, "step")}`,
    "--max-time": within,
  });
  const { own } = data;
  return [
    describeRun(undefined, prepared, sets),
    ...(own ? ["", countsTable(own), "", ...warningsOf(own)] : []),
    "",
    fields,
    "",
    "This was a dry run: nothing was written.",
  ].join("\n");
}

/** The epochs that a new run has time for, by the share of its time that there is. */
function fittingEpochs(epochs: number, share: number): string {
  return `: --epochs ${Math.max(1, Math.floor(epochs * share))} lets the learning rate fall to its end`;
}

function describeStep({ seconds, examples, isEarly }: TimedSteps, side: number | undefined): string {
  const size = isEarly && side !== undefined ? ` of ${side} x ${side}` : "";
  return `${formatShortTime(seconds)} for ${examples} images${size}, ${formatRate(examples / seconds)} images/s`;
}

/** The day and the time on this machine, some seconds from now. */
function localTime(seconds: number): string {
  const end = new Date(Date.now() + 1000 * seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${end.getFullYear()}-${two(end.getMonth() + 1)}-${two(end.getDate())} ${two(end.getHours())}:${two(end.getMinutes())}`;
}

function factsOf({ config, description, manifest }: PreparedRun, sets: DataSets, measured: Measured) {
  const { parameters, cost } = manifest;
  const [first, ...later] = measured.parts;
  const perStep = later.length > 0 ? secondsOf(measured.parts) / measured.left : (first?.seconds ?? 0);
  return {
    network: description.network,
    parameters,
    forward_flops: cost.forwardFlops,
    backward_flops: cost.backwardFlops,
    train_images: sets.trainSet.count,
    test_images: sets.testSet.count,
    epochs: config.epochs,
    steps: measured.steps,
    steps_left: measured.left,
    seconds_per_step: perStep,
    images_per_second: (first?.examples ?? 0) / perStep,
    steps_by_size: measured.parts.map(({ count, seconds, isEarly }) => ({
      early_size: isEarly ? config.earlySize : undefined,
      steps: count,
      seconds_per_step: seconds,
    })),
    seconds_per_evaluation: measured.evaluation,
    memory_mb: measured.memory,
    seconds_left: measured.seconds,
  };
}
