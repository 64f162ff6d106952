import { dirname } from "node:path";
import { type Checkpoint, decodeCheckpoint, readFileBytes } from "../../artifacts/index.ts";
import { createModel, decodeMetadata, encodeModel, UserError } from "../../graph-builder/index.ts";
import { evalBatches } from "../../runtime/data/batches.ts";
import { type Dataset, type Device, deviceNames } from "../../runtime/index.ts";
import { loadDataset, openDevice } from "../../runtime/node/index.ts";
import { openClassifier, trainedGraph } from "../../shakenet/index.ts";
import type { Command } from "../flags.ts";
import { checkpointSettings, trainingData } from "../frozen-model.ts";
import { formatRate } from "../progress.ts";
import { RunDirectory } from "../run-directory.ts";
import { type GivenSettings, withDefaults } from "../settings.ts";
import { formatTable } from "../tables.ts";

const settings = [
  "model",
  "run",
  "checkpoint",
  "against",
  "data",
  "dataDir",
  "testLimit",
  "batchSize",
  "threads",
  "config",
  "json",
] as const;
type Given = GivenSettings<(typeof settings)[number]>;

/** How far the logits may be from those of the checkpoint, relative to the largest, by the model's precision. */
const tolerances: Readonly<Record<string, number>> = { float32: 1e-5, float16: 1e-2, int8: 0.1 };

/** `shake verify`: a frozen model on every device against the network that was trained, layer by layer, on the CPU. */
export const verifyCommand: Command<(typeof settings)[number]> = {
  settings,
  positional: "model",
  async run(given) {
    const { model = "", json } = given;
    const bytes = await readFileBytes(model);
    const metadata = decodeMetadata(bytes, model);
    const { checkpoint, where } = await openCheckpoint(given);
    expectSameStep(metadata, model, checkpoint, where);
    const data = given.data ?? trainingData(metadata, model);
    const limit = given.testLimit ?? 256;
    const dataset = await loadDataset(data, { split: "test", limit, dataDir: given.dataDir });
    const graph = trainedGraph(checkpointSettings(checkpoint, where), checkpoint);
    const trained = encodeModel(createModel(graph));
    const { rows, absent } = await compareDevices(
      { bytes, model },
      { bytes: trained, where },
      dataset,
      given,
    );
    const tolerance = tolerances[metadata["precision"] ?? "float32"] ?? 1e-5;
    const report = { model, against: where, data, images: dataset.count, tolerance, devices: rows, absent };
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${describe(report)}\n`);
    return rows.every(({ largest_error }) => largest_error <= tolerance) ? 0 : 1;
  },
};

/** A device that the model could not be run on, and why in a sentence. */
interface Absent {
  readonly device: string;
  readonly reason: string;
}

/** The model on every device that opens, against the trained network on the CPU. */
async function compareDevices(
  frozen: { readonly bytes: Uint8Array; readonly model: string },
  trained: { readonly bytes: Uint8Array; readonly where: string },
  dataset: Dataset,
  given: Given,
): Promise<{ rows: Comparison[]; absent: Absent[] }> {
  const { batchSize, threads } = withDefaults(settings, given);
  const cpu = await openDevice("cpu", { threads });
  const expected = await scores(trained.bytes, cpu, trained.where, dataset, batchSize);
  const rows: Comparison[] = [];
  const absent: Absent[] = [];
  for (const name of deviceNames) {
    try {
      const device = name === "cpu" ? cpu : await openDevice(name, { threads });
      const found = await scores(frozen.bytes, device, frozen.model, dataset, batchSize);
      rows.push({ device: name, ...compare(found, expected) });
    } catch (error) {
      // these two come with the packages: there the model is at fault
      if (!(error instanceof UserError) || name === "cpu" || name === "wasm") throw error;
      absent.push({ device: name, reason: error.message });
    }
  }
  return { rows, absent };
}

async function openCheckpoint(given: Given): Promise<{ checkpoint: Checkpoint; where: string }> {
  const { model = "", run, against, checkpoint: kind = "last" } = given;
  if (run !== undefined && against !== undefined) {
    throw new UserError("shake verify takes --run DIR or --against CHECKPOINT, not both.");
  }
  if (against !== undefined) {
    return { checkpoint: decodeCheckpoint(await readFileBytes(against), against), where: against };
  }
  const directory = await RunDirectory.open(run ?? dirname(model)).catch((error: unknown) => {
    if (run !== undefined || !(error instanceof UserError)) throw error;
    throw new UserError(`${model} lies in no run: give --run DIR or --against CHECKPOINT.`, { cause: error });
  });
  return { checkpoint: await directory.checkpoint(kind), where: directory.checkpointPath(kind) };
}

/** Refuses a model that was frozen at another step of the training. */
function expectSameStep(
  { steps }: Readonly<Record<string, string>>,
  model: string,
  { properties }: Checkpoint,
  where: string,
): void {
  const step = properties.get("step");
  if (steps === undefined || step === undefined || steps === String(step)) return;
  throw new UserError(
    `${model} was frozen after step ${steps}, and ${where} is of step ${step}: give --checkpoint or --against.`,
  );
}

/** The logits of a data set, and how fast they came. */
interface Scores {
  readonly logits: Float32Array;
  readonly classes: number;
  readonly imagesPerSecond: number;
  readonly isProbabilities: boolean;
}

async function scores(
  bytes: Uint8Array,
  device: Device,
  what: string,
  dataset: Dataset,
  batchSize: number,
): Promise<Scores> {
  const classifier = await openClassifier(bytes, device, what);
  const parts: Float32Array[] = [];
  const start = performance.now();
  for (const { images } of evalBatches(dataset, batchSize)) {
    parts.push((await classifier.logits(images)).data as Float32Array);
  }
  const seconds = (performance.now() - start) / 1000;
  await classifier.release();
  const logits = Float32Array.from(parts.flatMap((part) => [...part]));
  const { isProbabilities } = classifier;
  return {
    logits,
    classes: logits.length / dataset.count,
    imagesPerSecond: dataset.count / seconds,
    isProbabilities,
  };
}

interface Comparison {
  readonly device: string;
  /** Of a logit, relative to the largest of all. */
  readonly largest_error: number;
  readonly mean_error: number;
  /** Images of the same likeliest class. */
  readonly same_class: number;
  readonly images_per_second: number;
}

function compare(found: Scores, expected: Scores): Omit<Comparison, "device"> {
  const { classes } = expected;
  if (found.classes !== classes) {
    throw new UserError(`The model has ${found.classes} classes, and the checkpoint ${classes}.`);
  }
  // probabilities fix logits up to a constant
  const align = ({ logits }: Scores) => (found.isProbabilities ? aboveLargest(logits, classes) : logits);
  const [ours, theirs] = [align(found), align(expected)];
  const scale = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const errors = theirs.map((value, i) => Math.abs((ours[i] ?? Number.NaN) - value) / scale);
  const [one, other] = [best(ours, classes), best(theirs, classes)];
  return {
    largest_error: errors.reduce((most, error) => Math.max(most, error), 0),
    mean_error: errors.reduce((sum, error) => sum + error, 0) / errors.length,
    same_class: one.filter((choice, i) => choice === other[i]).length,
    images_per_second: found.imagesPerSecond,
  };
}

function aboveLargest(logits: Float32Array, classes: number): Float32Array {
  const largest = best(logits, classes).map((choice, row) => logits[row * classes + choice] ?? 0);
  return logits.map((logit, i) => logit - (largest[Math.floor(i / classes)] ?? 0));
}

/** The likeliest class of every image. */
function best(logits: Float32Array, classes: number): number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    return own.reduce((choice, logit, i) => (logit > (own[choice] ?? 0) ? i : choice), 0);
  });
}

function describe({
  model,
  against,
  data,
  images,
  tolerance,
  devices,
  absent,
}: {
  readonly model: string;
  readonly against: string;
  readonly data: string;
  readonly images: number;
  readonly tolerance: number;
  readonly devices: readonly Comparison[];
  readonly absent: readonly Absent[];
}): string {
  const rows = devices.map((row) => [
    row.device,
    row.largest_error.toExponential(1),
    row.mean_error.toExponential(1),
    `${row.same_class} of ${images}`,
    formatRate(row.images_per_second),
    row.largest_error <= tolerance ? "yes" : "no",
  ]);
  return [
    formatTable(["device", "largest error", "mean error", "same class", "images/s", "agrees"], rows),
    "",
    `${model} against ${against} on ${images} test images of ${data}; errors of the logits are relative to the largest, up to ${tolerance.toExponential(0)} agrees`,
    ...(absent.length > 0
      ? [
          "",
          formatTable(
            ["not run on", "because"],
            absent.map(({ device, reason }) => [device, reason]),
          ),
        ]
      : []),
  ].join("\n");
}
