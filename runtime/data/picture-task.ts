import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { Classifier, type ClassifierOptions } from "../inference/classifier.ts";
import { evaluate, type LogitsOf } from "../inference/evaluation.ts";
import type { EvaluationProgress, Metrics, StepFeeds } from "../loop/task.ts";
import { checkpointOfFirst } from "../replicas/first-checkpoint.ts";
import {
  batchOfStep,
  type ClassificationData,
  type ClassificationMetric,
  type ClassificationTask,
  classificationTask,
  type FreezeClassifier,
  freezeEvalModel,
} from "./classification-task.ts";
import { sizeInEpoch } from "./early-size.ts";
import { oneHot } from "./mixing.ts";
import { type PictureInput, pictureTensor } from "./picture-input.ts";
import { type ImageSize, pixelsOf } from "./types.ts";

/** Scales raw pixels uint8 [count, channels, height, width] to another size. */
export type ScalePictures = (images: Uint8Array, from: ImageSize, to: ImageSize) => Promise<Uint8Array>;

/** A picture classifier that came from a file, in training. */
export interface TrainedClassifier {
  readonly evalModel: Uint8Array;
  /** The models' input of pictures. */
  readonly input: PictureInput;
  /** The name of their input of labels, int64 [batch]; float [batch, classes] with `softLabels`. */
  readonly labels: string;
  /** The number of classes where labels are the shares of all classes. */
  readonly softLabels?: number | undefined;
  /** The output of the evaluation model with a number for each class, float [batch, classes]. */
  readonly scores: string;
  /** Scales pictures of another size than the model's. Without it a data set must have the model's size. */
  readonly scale?: ScalePictures | undefined;
}

/**
 * Trains a picture classifier of any input: the pictures are augmented in the size of the data set, scaled to
 * the model's, and fed in the model's layout. The training model must return `loss` and `correct`, as that of
 * `generateArtifacts` with `countCorrect` does. Throws UserError where sizes differ and nothing scales.
 */
export function pictureTask(data: ClassificationData, classifier: TrainedClassifier): ClassificationTask {
  const freeze = freezeEvalModel(classifier.evalModel, classifier.scores);
  if (data.mixing && classifier.softLabels === undefined) {
    throw new UserError(
      "Mixed pictures need soft labels, and the model takes the number of a class: make its artifacts with softLabels (shake build-graph --soft-labels).",
      { code: "setting-conflict", details: { setting: "mixing" } },
    );
  }
  return {
    ...classificationTask(data, freeze),
    stepCost: (epoch) => pixelsOf(sizeInEpoch(classifier.input.size, data.earlySize, epoch)),
    feeds: (step) => pictureFeeds(data, classifier, step),
    evaluate: (checkpoint) => evaluatePictures(data, classifier, freeze, checkpoint),
  };
}

async function pictureFeeds(
  data: ClassificationData,
  { input, labels: labelsName, softLabels, scale }: TrainedClassifier,
  step: number,
): Promise<StepFeeds> {
  const { trainSet, earlySize, device } = data;
  const { images, labels, shares, epoch } = batchOfStep(data, step);
  const examples = labels.length;
  const size = sizeInEpoch(input.size, earlySize, epoch);
  const scaled = await inSizeOf(size, images, trainSet.size, scale);
  return {
    feeds: {
      [input.name]: pictureTensor({ ...input, size }, scaled, examples, device),
      [labelsName]:
        softLabels === undefined
          ? new device.ort.Tensor("int64", labels, [examples])
          : new device.ort.Tensor("float32", shares ?? oneHot(labels, softLabels), [examples, softLabels]),
    },
    examples,
  };
}

async function* evaluatePictures(
  { testSet, batchSize, device, link }: ClassificationData,
  { input, scores, scale }: TrainedClassifier,
  freeze: FreezeClassifier,
  checkpoint: Checkpoint,
): AsyncGenerator<EvaluationProgress, Metrics<ClassificationMetric>> {
  const model = freeze(await checkpointOfFirst(checkpoint, link));
  const options: ClassifierOptions = { pixels: input.pixels, size: input.size, scores };
  const classifier = await Classifier.open(model, device, "the model", options);
  try {
    const logitsOf: LogitsOf = async ({ images }) =>
      classifier.logits(await inSizeOf(input.size, images, testSet.size, scale));
    const result = yield* evaluate(testSet, batchSize, logitsOf, link);
    return { loss: result.loss, accuracy: result.accuracy };
  } finally {
    await classifier.release();
  }
}

/** Raw pixels in the size of a model. Throws UserError where that is another one and nothing scales. */
export async function inSizeOf(
  to: ImageSize,
  images: Uint8Array,
  from: ImageSize,
  scale: ScalePictures | undefined,
): Promise<Uint8Array> {
  const isSame = to.channels === from.channels && to.height === from.height && to.width === from.width;
  if (isSame) return images;
  if (scale) return scale(images, from, to);
  const text = ({ channels, height, width }: ImageSize) => `${channels} x ${height} x ${width}`;
  throw new UserError(`The model takes pictures of ${text(to)}, and these are ${text(from)}.`, {
    code: "data-mismatch",
    details: { wanted: pixelsOf(to), given: pixelsOf(from) },
  });
}
