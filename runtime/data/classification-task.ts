import * as z from "zod/mini";
import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { parseJson } from "../../artifacts/json.ts";
import { decodeModel } from "../../graph-builder/index.ts";
import type { Device } from "../device/device.ts";
import { Classifier } from "../inference/classifier.ts";
import { evaluate, evaluationBatchSize } from "../inference/evaluation.ts";
import { freezeModel } from "../inference/freeze-model.ts";
import type { EpochRecord, TrainingEvent } from "../loop/events.ts";
import type { EvaluationProgress, Metrics, StepFeeds, Task } from "../loop/task.ts";
import { checkpointOfFirst } from "../replicas/first-checkpoint.ts";
import type { Link } from "../replicas/ranks.ts";
import type { Augmentation } from "./augmentation.ts";
import { type LastBatch, stepsPerEpoch, type TrainBatch, trainBatch } from "./batches.ts";
import { type EarlySize, sizeInEpoch } from "./early-size.ts";
import { type Mixing, mixBatch } from "./mixing.ts";
import { resizer } from "./resize.ts";
import { type Dataset, pixelsOf } from "./types.ts";

/** The metrics of a classifier: mean cross-entropy in nats, and accuracy in percent. */
export type ClassificationMetric = "loss" | "accuracy";

/** The task of a picture classifier, and what a loop over it tells. */
export type ClassificationTask = Task<ClassificationMetric, ClassificationMetric, "images">;
export type ClassificationEvent = TrainingEvent<ClassificationMetric, ClassificationMetric, "images">;
export type ClassificationRecord = EpochRecord<ClassificationMetric, ClassificationMetric, "images">;

/** JSON has no NaN: a metric that is not finite is written as null. */
const metric = z.pipe(
  z.nullable(z.number()),
  z.transform((value: number | null) => value ?? Number.NaN),
);

const recordSchema = z.looseObject({
  epoch: z.int().check(z.minimum(1)),
  step: z.int().check(z.minimum(1)),
  train_loss: metric,
  train_accuracy: metric,
  test_loss: metric,
  test_accuracy: metric,
  learning_rate: z.number(),
  images_per_second: metric,
  seconds: z.number(),
});

/** The record in a line of JSON, called `where` in errors. Throws UserError for a wrong or missing field. */
export function classificationRecordIn(line: string, where: string): ClassificationRecord {
  return parseJson(recordSchema, line, { where, code: "metrics-damaged" });
}

/** What a picture classifier is trained and measured on. */
export interface ClassificationData {
  readonly trainSet: Dataset;
  readonly testSet: Dataset;
  readonly batchSize: number;
  /** What becomes of the images that do not fill a batch; a smaller last one where left out. */
  readonly lastBatch?: LastBatch | undefined;
  /** Decides the order of the images, their crops and flips. */
  readonly seed: number;
  /** The augmentation of the paper's code where left out. */
  readonly augmentation?: Augmentation | undefined;
  /** Mixes images in pairs; the training model must take labels float [batch, classes]. */
  readonly mixing?: Mixing | undefined;
  /** Images of another size in the first epochs, which the training model must take too. */
  readonly earlySize?: EarlySize | undefined;
  /** Where the trainer takes its tensors from, and where the classifier is measured. */
  readonly device: Device;
  /** Connects the ranks that measure the classifier together; this process measures it where left out. */
  readonly link?: Link | undefined;
}

/** How the frozen classifier of a checkpoint is made: an .onnx file from images to logits. */
export type FreezeClassifier = (checkpoint: Checkpoint) => Uint8Array;

/**
 * Trains a picture classifier. The training model takes `images` uint8 [batch, channels, height, width] and
 * `labels` int64 [batch], or float [batch, classes] where images are mixed, and returns `loss` (mean
 * cross-entropy) and `correct` (how many of the batch). The best checkpoint is the one of the highest
 * accuracy on the test set.
 */
export function classificationTask(data: ClassificationData, freeze: FreezeClassifier): ClassificationTask {
  return {
    unit: "images",
    stepsPerEpoch: stepsPerEpoch(data.trainSet, data.batchSize),
    metrics: {
      loss: { output: "loss", over: "mean", scale: 1 },
      accuracy: { output: "correct", over: "sum", scale: 100 },
    },
    best: { metric: "accuracy", higherIsBetter: true, worst: -1 },
    stepCost: (epoch) => pixelsOf(sizeInEpoch(data.trainSet.size, data.earlySize, epoch)),
    feeds: (step) => imageFeeds(data, step),
    evaluate: (checkpoint) => evaluateClassifier(data, freeze, checkpoint),
  };
}

/**
 * Freezes a classifier's eval model, of which `output` are the logits, float [batch, classes]. Throws
 * UserError for a damaged one.
 */
export function freezeEvalModel(evalModel: Uint8Array, output = "logits"): FreezeClassifier {
  const model = decodeModel(evalModel, "eval_model.onnx");
  return (checkpoint) => freezeModel(model, checkpoint, [output]);
}

/** The pictures that a step trains on. */
export interface StepBatch extends TrainBatch {
  /** The shares of all classes, float [batch, classes], where pictures are mixed. */
  readonly shares: Float32Array<ArrayBuffer> | undefined;
  /** The epoch of the step, counted from 0. */
  readonly epoch: number;
}

/** The batch of a step, augmented, and mixed where the settings say so. */
export function batchOfStep(
  { trainSet, batchSize, lastBatch, seed, augmentation, mixing }: ClassificationData,
  step: number,
): StepBatch {
  const { images, labels } = trainBatch(trainSet, { batchSize, lastBatch, seed, augmentation }, step);
  const mixed = mixing && mixBatch({ images, labels }, trainSet.size, mixing, seed, step);
  const epoch = Math.floor(step / stepsPerEpoch(trainSet, batchSize));
  return { images: mixed?.images ?? images, labels, shares: mixed?.labels, epoch };
}

/** The images and labels of a step. */
export function imageFeeds(data: ClassificationData, step: number): StepFeeds {
  const { trainSet, earlySize, device } = data;
  const { images: whole, labels, shares, epoch } = batchOfStep(data, step);
  const size = sizeInEpoch(trainSet.size, earlySize, epoch);
  const { channels, height, width } = size;
  const images = size === trainSet.size ? whole : resizer(trainSet.size, size)(whole);
  const { Tensor } = device.ort;
  const examples = labels.length;
  return {
    feeds: {
      images: new Tensor("uint8", images, [examples, channels, height, width]),
      labels: shares
        ? new Tensor("float32", shares, [examples, shares.length / examples])
        : new Tensor("int64", labels, [examples]),
    },
    examples,
  };
}

async function* evaluateClassifier(
  { testSet, batchSize, device, link }: ClassificationData,
  freeze: FreezeClassifier,
  checkpoint: Checkpoint,
): AsyncGenerator<EvaluationProgress, Metrics<ClassificationMetric>> {
  const model = freeze(await checkpointOfFirst(checkpoint, link));
  const classifier = await Classifier.open(model, device, "the network");
  try {
    const size = evaluationBatchSize(device, batchSize);
    const result = yield* evaluate(testSet, size, (batch) => classifier.logits(batch.images), link);
    return { loss: result.loss, accuracy: result.accuracy };
  } finally {
    await classifier.release();
  }
}
