import { averagedCheckpoint } from "../../../artifacts/averages.ts";
import { counted } from "../../../artifacts/counted.ts";
import { countIn, decodeCheckpoint } from "../../../artifacts/index.ts";
import { firstImages } from "../../../runtime/data/types.ts";
import { evaluationBatchSize } from "../../../runtime/index.ts";
import { evaluationsLeft } from "../../../runtime/loop/pace.ts";
import { timeStep } from "../../../runtime/loop/time-step.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import { countsTable, warningsOf } from "../../data/describe.ts";
import { measuredPart } from "../../data/part-name.ts";
import { formatFields, formatRate, formatSeconds } from "../../format.ts";
import type { Progress } from "../../progress.ts";
import { print } from "../../terminal.ts";
import { describeRun } from "./opening-lines.ts";
import type { DataSets, PreparedRun } from "./prepared-run.ts";

/** How a dry run is told, and the time that the run would have, in seconds. */
interface DryRunOptions {
  readonly json?: boolean | undefined;
  readonly maxTime?: number | undefined;
  readonly progress: Progress;
}

/**
 * Takes two steps and evaluates two batches as a run would, and prints what the run is and when it would end.
 * Writes nothing into the run's folder. Returns the exit code.
 */
export async function tryRun(
  prepared: PreparedRun,
  sets: DataSets,
  checkpoint: Uint8Array,
  { json, maxTime, progress }: DryRunOptions,
): Promise<number> {
  const engine = await prepared.openEngine(checkpoint);
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

/** What a dry run has found. Times are in seconds. */
interface Measured {
  readonly step: number;
  readonly examples: number;
  readonly evaluation: number;
  /** The steps that are left, and all of them. */
  readonly left: number;
  readonly steps: number;
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
  const { epochs, learningRate, batchSize, evaluateEveryEpochs } = config;
  const task = taskOf(sets, engine.device);
  const steps = epochs * task.stepsPerEpoch;
  const done = countIn(decodeCheckpoint(checkpoint, where).properties, "step", where) ?? 0;
  const step = await timeStep(engine.session, task, Math.min(done, steps - 1), learningRate);
  const batch = evaluationBatchSize(engine.device, batchSize);
  const some = taskOf({ ...sets, testSet: firstImages(sets.testSet, 2 * batch) }, engine.device);
  const trained = averagedCheckpoint(await engine.session.checkpoint());
  const laps: number[] = [performance.now()];
  for await (const _ of some.evaluate(trained)) laps.push(performance.now());
  const [start = 0, first = 0, second = first] = laps;
  const batches = Math.ceil(sets.testSet.count / batch);
  // the first batch comes after the model is opened
  const evaluation = (first - start + (batches - 1) * (second - first)) / 1000;
  const evaluations = evaluationsLeft(Math.floor(done / task.stepsPerEpoch), epochs, evaluateEveryEpochs);
  return {
    step: step.seconds,
    examples: step.examples,
    evaluation,
    left: steps - done,
    steps,
    seconds: (steps - done) * step.seconds + evaluations * evaluation,
    memory: (process.resourceUsage().maxRSS * 1024) / 1e6,
  };
}

function describe(prepared: PreparedRun, sets: DataSets, measured: Measured, maxTime?: number): string {
  const { config, data } = prepared;
  const { step, examples, evaluation, left, steps, seconds, memory } = measured;
  const part = measuredPart(config);
  const images = sets.testSet.count.toLocaleString("en-US");
  const within =
    maxTime === undefined || maxTime >= seconds
      ? undefined
      : `ends the run after about ${((config.epochs * maxTime) / seconds).toFixed(1)} epochs: --epochs ${Math.max(1, Math.floor((config.epochs * maxTime) / seconds))} lets the learning rate fall to its end`;
  const fields = formatFields({
    step: `${milliseconds(step)} for ${examples} images, ${formatRate(examples / step)} images/s`,
    evaluation: `${milliseconds(evaluation)} for ${images} ${part} images`,
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

function milliseconds(seconds: number): string {
  return seconds < 1 ? `${(1000 * seconds).toPrecision(3)} ms` : formatSeconds(seconds);
}

/** The day and the time on this machine in so many seconds. */
function localTime(seconds: number): string {
  const end = new Date(Date.now() + 1000 * seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${end.getFullYear()}-${two(end.getMonth() + 1)}-${two(end.getDate())} ${two(end.getHours())}:${two(end.getMinutes())}`;
}

function factsOf({ config, description, manifest }: PreparedRun, sets: DataSets, measured: Measured) {
  const { parameters, cost } = manifest;
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
    seconds_per_step: measured.step,
    images_per_second: measured.examples / measured.step,
    seconds_per_evaluation: measured.evaluation,
    memory_mb: measured.memory,
    seconds_left: measured.seconds,
  };
}
