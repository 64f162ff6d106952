import type { Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { type EvaluationBatch, evalBatches } from "../data/batches.ts";
import type { Dataset, ImageSize } from "../data/types.ts";
import type { Device } from "../device/device.ts";
import { floatData } from "../device/tensors.ts";
import type { EvaluationProgress } from "../loop/task.ts";
import { bytesOf, gather, type Link } from "../replicas/ranks.ts";
import { type ConfusionCell, ConfusionCounts } from "./confusion.ts";
import { type Reliability, ReliabilitySums } from "./reliability.ts";

/** How well a network does on the images of one class. */
export interface ClassEvaluation {
  readonly className: string;
  readonly images: number;
  /** The images of the class that were taken for it: `correct / images` is its recall. */
  readonly correct: number;
  /** The images of any class that were taken for it: `correct / predicted` is its precision. */
  readonly predicted: number;
}

/** How well a network does on a data set. Accuracies are in percent. */
export interface Evaluation {
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  readonly accuracy: number;
  readonly images: number;
  readonly perClass: readonly ClassEvaluation[];
  /** The labels and predictions that occur. */
  readonly confusion: readonly ConfusionCell[];
  readonly reliability: Reliability;
}

/**
 * How many images are evaluated at once beside training with a batch size: on CUDA 2,000 at least, which
 * starts fewer kernels.
 */
export function evaluationBatchSize(device: Pick<Device, "name">, batchSize: number): number {
  return device.name === "cuda" ? Math.max(batchSize, 2000) : batchSize;
}

/** The logits of a batch, float [batch, classes]. */
export type LogitsOf = (batch: EvaluationBatch) => Promise<Pick<Tensor, "data" | "dims">>;

/**
 * Evaluates a model, which `logitsOf` runs, on a data set batch by batch. Yields the progress, returns the
 * result. Where several ranks evaluate it, each one runs its share of every batch, and all return the result
 * of the whole data set.
 */
export async function* evaluate(
  dataset: Dataset,
  batchSize: number,
  logitsOf: LogitsOf,
  link?: Link,
): AsyncGenerator<EvaluationProgress, Evaluation> {
  const sums = new EvaluationSums(dataset);
  const ranks = link?.size ?? 1;
  const batches = [...evalBatches(dataset, Math.ceil(batchSize / ranks))];
  let done = 0;
  for (let first = 0; first < batches.length; first += ranks) {
    const group = batches.slice(first, first + ranks);
    const logits = link ? await logitsOfRanks(link, group, logitsOf) : await Promise.all(group.map(logitsOf));
    for (const [i, { labels }] of group.entries()) {
      sums.add(at(logits, i), labels);
      done += labels.length;
    }
    yield { done, of: dataset.count };
  }
  return sums.result();
}

/** The logits of as many batches as there are ranks, or fewer, each of which its rank computes. */
async function logitsOfRanks(link: Link, batches: readonly EvaluationBatch[], logitsOf: LogitsOf) {
  const own = batches[link.rank];
  const logits = own ? floatData(await logitsOf(own)) : new Float32Array(0);
  const all = await gather(link, bytesOf(logits));
  return batches.map(({ labels }, rank) => {
    const data = new Float32Array(Uint8Array.from(at(all, rank)).buffer);
    return { data, dims: [labels.length, data.length / labels.length] };
  });
}

/**
 * An evaluation of the images as they are, and one with the mean of the logits of each image and its mirror.
 */
export interface MirroredEvaluation {
  readonly plain: Evaluation;
  readonly mirrored: Evaluation;
}

/**
 * Evaluates a model as `evaluate` does, and also with mirrored images: the logits of an image and of its
 * mirror are averaged.
 */
export async function* evaluateMirrored(
  dataset: Dataset,
  batchSize: number,
  logitsOf: (batch: EvaluationBatch) => Promise<Tensor>,
): AsyncGenerator<EvaluationProgress, MirroredEvaluation> {
  const [plain, mirrored] = [new EvaluationSums(dataset), new EvaluationSums(dataset)];
  let done = 0;
  for (const batch of evalBatches(dataset, batchSize)) {
    const { labels } = batch;
    const own = await logitsOf(batch);
    plain.add(own, labels);
    const other = await logitsOf({ images: mirrorImages(batch.images, dataset.size), labels });
    mirrored.add({ data: meanOf(floatData(own), floatData(other)), dims: own.dims }, labels);
    done += labels.length;
    yield { done, of: dataset.count };
  }
  return { plain: plain.result(), mirrored: mirrored.result() };
}

/** The result of an evaluation, whose progress is told to `onProgress`. */
export async function resultOf<Result>(
  evaluation: AsyncGenerator<EvaluationProgress, Result>,
  onProgress: (progress: EvaluationProgress) => void,
): Promise<Result> {
  for (;;) {
    const { value, done } = await evaluation.next();
    if (done) return value;
    onProgress(value);
  }
}

/** Images [images, channels, height, width] with their columns in the other order. */
function mirrorImages(images: Uint8Array, { width }: ImageSize): Uint8Array {
  const out = Uint8Array.from(images);
  for (let start = 0; start < out.length; start += width) out.subarray(start, start + width).reverse();
  return out;
}

function meanOf(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => (value + at(b, i)) / 2);
}

/**
 * Running sums over batches of logits. The loss is computed in double precision, so all models are measured
 * alike.
 */
export class EvaluationSums {
  readonly #classNames: readonly string[];
  readonly #confusion = new ConfusionCounts();
  readonly #reliability = new ReliabilitySums();
  #loss = 0;

  constructor({ classNames }: Pick<Dataset, "classNames">) {
    this.#classNames = classNames;
  }

  /**
   * Adds a batch of logits, float [batch, classes], and their labels. Throws UserError for a label that is
   * none of the model's classes.
   */
  add(logits: Pick<Tensor, "data" | "dims">, labels: ArrayLike<bigint | number>): void {
    const data = floatData(logits);
    const classes = Number(logits.dims[1]);
    for (let i = 0; i < labels.length; i++) {
      const label = Number(labels[i]);
      const row = data.subarray(i * classes, (i + 1) * classes);
      const { loss, predicted, confidence } = scoreOf(row, label);
      this.#loss += loss;
      this.#confusion.add(label, predicted);
      this.#reliability.add(confidence, predicted === label);
    }
  }

  /** The result over all batches added. */
  result(): Evaluation {
    const confusion = this.#confusion.cells();
    const perClass = this.#classNames.map((className) => ({
      className,
      images: 0,
      correct: 0,
      predicted: 0,
    }));
    let [images, correct] = [0, 0];
    for (const cell of confusion) {
      const isRight = cell.label === cell.predicted;
      images += cell.images;
      if (isRight) correct += cell.images;
      const [own, taken] = [perClass[cell.label], perClass[cell.predicted]];
      if (own) own.images += cell.images;
      if (own && isRight) own.correct += cell.images;
      if (taken) taken.predicted += cell.images;
    }
    return {
      loss: this.#loss / images,
      accuracy: (100 * correct) / images,
      images,
      perClass,
      confusion,
      reliability: this.#reliability.result(),
    };
  }
}

/** How a network scores an image. */
export interface ImageScore {
  /** -log softmax(logits)[label], in nats. */
  readonly loss: number;
  /** The class of the largest logit. */
  readonly predicted: number;
  /** The probability of that class. */
  readonly confidence: number;
}

/**
 * The score of the logits [classes] of an image, in double precision. Throws UserError for a label that is
 * none of the classes.
 */
export function scoreOf(logits: Float32Array, label: number): ImageScore {
  const own = logits[label];
  if (own === undefined)
    throw new UserError(`The label ${label} is none of the model's ${logits.length} classes.`, {
      code: "label-invalid",
    });
  let predicted = 0;
  for (let i = 1; i < logits.length; i++) if (at(logits, i) > at(logits, predicted)) predicted = i;
  const largest = at(logits, predicted);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return { loss: Math.log(sum) + largest - own, predicted, confidence: 1 / sum };
}
