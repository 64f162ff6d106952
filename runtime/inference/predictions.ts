import type { Tensor } from "onnxruntime-common";
import type { EvaluationBatch } from "../data/batches.ts";
import type { Dataset } from "../data/types.ts";
import { floatData } from "../device/tensors.ts";
import type { EvaluationProgress } from "../loop/task.ts";
import { type Evaluation, evaluate, type ImageScore, scoreOf } from "./evaluation.ts";

/** What a network says of every image of a data set. */
export interface Predictions {
  /** The network's classes; there may be more than the data set has. */
  readonly classes: number;
  /** [count, classes] */
  readonly logits: Float32Array;
  readonly evaluation: Evaluation;
}

/**
 * Evaluates a model, which `logitsOf` runs, as `evaluate` does, and keeps its logits. Yields the progress,
 * returns the predictions. Throws UserError for a label that is none of the model's classes.
 */
export async function* predictAll(
  dataset: Dataset,
  batchSize: number,
  logitsOf: (batch: EvaluationBatch) => Promise<Tensor>,
): AsyncGenerator<EvaluationProgress, Predictions> {
  let [classes, logits] = [0, new Float32Array(0)];
  let done = 0;
  const evaluation = yield* evaluate(dataset, batchSize, async (batch) => {
    const found = await logitsOf(batch);
    if (done === 0) {
      classes = Number(found.dims[1]);
      logits = new Float32Array(dataset.count * classes);
    }
    logits.set(floatData(found), done * classes);
    done += batch.labels.length;
    return found;
  });
  return { classes, logits, evaluation };
}

/** Softmax of the logits [classes] of an image, in double precision. */
export function probabilitiesOf(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const odds = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = odds.reduce((total, value) => total + value, 0);
  return odds.map((value) => value / sum);
}

/** An image of a data set with the network's score. */
export interface ScoredImage extends ImageScore {
  /** The place of the image in the data set. */
  readonly index: number;
  readonly label: number;
}

/** The score of every image, in the order of the data set. */
export function scoredImages(
  { logits, classes }: Predictions,
  { labels }: Pick<Dataset, "labels">,
): readonly ScoredImage[] {
  return Array.from(labels, (label, index) => ({
    index,
    label,
    ...scoreOf(logits.subarray(index * classes, (index + 1) * classes), label),
  }));
}

/** The wrong predictions of the largest loss: those that give the right class the least probability. */
export function worstMistakes(images: readonly ScoredImage[], most: number): readonly ScoredImage[] {
  return images
    .filter(({ label, predicted }) => label !== predicted)
    .sort((a, b) => b.loss - a.loss || a.index - b.index)
    .slice(0, most);
}

/** The right predictions of the highest probability. */
export function surestAnswers(images: readonly ScoredImage[], most: number): readonly ScoredImage[] {
  return images
    .filter(({ label, predicted }) => label === predicted)
    .sort((a, b) => a.loss - b.loss || a.index - b.index)
    .slice(0, most);
}
