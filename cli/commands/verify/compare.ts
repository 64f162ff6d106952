import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/index.ts";
import { evalBatches } from "../../../runtime/data/batches.ts";
import { pixelsOf } from "../../../runtime/data/types.ts";
import { floatData } from "../../../runtime/device/tensors.ts";
import { type Dataset, type Device, deviceNames } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { openScalingClassifier } from "../../models/scaling-classifier.ts";

/** A device that could not run the model, and the reason in one sentence. */
export interface Absent {
  readonly device: string;
  readonly reason: string;
}

/** Compares the model on every device that opens with the trained network on the CPU. */
export async function compareDevices(
  frozen: { readonly bytes: Uint8Array; readonly model: string },
  trained: { readonly bytes: Uint8Array; readonly where: string },
  dataset: Dataset,
  { batchSize, threads }: { readonly batchSize: number; readonly threads?: number | undefined },
): Promise<{ rows: Comparison[]; absent: Absent[] }> {
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
      // cpu and wasm come with the packages, so there the model is at fault
      if (!(error instanceof UserError) || name === "cpu" || name === "wasm") throw error;
      absent.push({ device: name, reason: error.message });
    }
  }
  return { rows, absent };
}

/** The logits of a data set, and the speed at which they were computed. */
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
  const classifier = await openScalingClassifier(bytes, device, what, dataset.size);
  let logits = new Float32Array();
  let done = 0;
  const start = performance.now();
  for (const { images } of evalBatches(dataset, batchSize)) {
    const part = floatData(await classifier.logits(images));
    if (done === 0)
      logits = new Float32Array((part.length / (images.length / pixelsOf(dataset.size))) * dataset.count);
    logits.set(part, done);
    done += part.length;
  }
  const seconds = (performance.now() - start) / 1000;
  await classifier.release();
  const { isProbabilities } = classifier;
  return {
    logits,
    classes: logits.length / dataset.count,
    imagesPerSecond: dataset.count / seconds,
    isProbabilities,
  };
}

export interface Comparison {
  readonly device: string;
  /** The largest error of a logit, relative to the largest logit. */
  readonly largest_error: number;
  readonly mean_error: number;
  /** Images of the same likeliest class. */
  readonly same_class: number;
  readonly images_per_second: number;
}

function compare(found: Scores, expected: Scores): Omit<Comparison, "device"> {
  const { classes } = expected;
  if (found.classes !== classes) {
    throw new UserError(`The model has ${found.classes} classes, and the checkpoint ${classes}.`, {
      code: "model-mismatch",
    });
  }
  // probabilities determine logits up to a constant
  const align = ({ logits }: Scores) => (found.isProbabilities ? aboveLargest(logits, classes) : logits);
  const [ours, theirs] = [align(found), align(expected)];
  const scale = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const errors = theirs.map((value, i) => Math.abs(at(ours, i) - value) / scale);
  const [one, other] = [best(ours, classes), best(theirs, classes)];
  return {
    largest_error: errors.reduce((most, error) => Math.max(most, error), 0),
    mean_error: errors.reduce((sum, error) => sum + error, 0) / errors.length,
    same_class: one.filter((choice, i) => choice === other[i]).length,
    images_per_second: found.imagesPerSecond,
  };
}

function aboveLargest(logits: Float32Array, classes: number): Float32Array {
  const largest = best(logits, classes).map((choice, row) => at(logits, row * classes + choice));
  return logits.map((logit, i) => logit - at(largest, Math.floor(i / classes)));
}

/** The likeliest class of every image. */
function best(logits: Float32Array, classes: number): number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    return own.reduce((choice, logit, i) => (logit > at(own, choice) ? i : choice), 0);
  });
}
