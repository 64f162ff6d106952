import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { channelStatistics } from "../../runtime/data/statistics.ts";
import type { Dataset } from "../../runtime/data/types.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import { Classifier } from "../../runtime/inference/classifier.ts";
import { frozenModel } from "../../shakenet/index.ts";
import { imageShape } from "../../shakenet/network.ts";
import type { Examples } from "../calls/model.ts";
import type { Lesson, OwnStep, OwnTrained } from "../calls/own.ts";
import type { TrainChoices } from "../calls/training.ts";
import { openDevice, openTrainingDevice } from "./devices.ts";
import { type FeatureNetwork, whiteBackground } from "./features.ts";
import { trainLastLayer } from "./last-layer.ts";
import type { Queue } from "./queue.ts";
import { bestOfRows, messagesHandled, PageTraining } from "./training.ts";

/** What a training on one's own pictures tells, and what ends it. */
export interface OwnSurroundings {
  readonly queue: Queue;
  readonly tell: (event: OwnStep) => void;
  readonly signal: AbortSignal;
}

const NAME = "your-pictures.onnx";
const PIXELS = imageShape.reduce((product, dim) => product * dim, 1);

/** Trains a new last layer on the features of pictures. */
export async function trainOnFeatures(
  network: FeatureNetwork,
  { classNames, labels, inputs, heldOut }: Lesson,
  { queue, tell, signal }: OwnSurroundings,
): Promise<OwnTrained> {
  if (!(inputs instanceof Float32Array)) throw new TypeError("the last layer learns from features");
  const lesson = { features: inputs, labels, classes: classNames.length };
  const training = trainLastLayer(lesson, await openTrainingDevice("wasm"), signal);
  const start = performance.now();
  let steps = 0;
  for (;;) {
    const { value, done } = await queue.run(() => training.next());
    if (done) {
      if (steps === 0) throw stopped();
      return finished(network.withLastLayer(value, classNames, steps), heldOut, queue);
    }
    steps = value.step;
    const secondsLeft = ((performance.now() - start) / 1000 / steps) * (value.steps - steps);
    tell({ type: "own-step", ...value, secondsLeft });
    await messagesHandled();
  }
}

/** About how many steps a small network is trained from the start. */
const STEPS = 400;

/** Trains all of a small ShakeNet on pictures. */
export async function trainWhole(
  lesson: Lesson,
  { queue, tell, signal }: OwnSurroundings,
): Promise<OwnTrained> {
  const trainSet = trainingSet(lesson);
  const choices = choicesFor(trainSet.count);
  const every = Math.max(1, Math.floor(choices.epochs / 4));
  const { classNames, heldOut } = lesson;
  const pictures = {
    trainSet,
    // a network must be measured on something
    testSet: heldOut.labels.length > 0 ? datasetOf(heldOut, trainSet) : trainSet,
    own: { classNames, background: whiteBackground },
    lastBatch: "spread" as const,
    evaluateEveryEpochs: every,
  };
  const training = new PageTraining(choices, pictures, {
    queue,
    tell: (event) => {
      if (event.type === "step") tell({ ...pick(event), type: "own-step" });
    },
    keep: async () => true,
  });
  if (signal.aborted) throw stopped();
  signal.addEventListener("abort", () => training.stop());
  const { step } = await training.run();
  if (step === 0) throw stopped();
  return finished(training.trained().checkpoint, heldOut, queue);
}

function stopped(): UserError {
  return new UserError("The training was stopped before its first step.", { code: "interrupted" });
}

function pick({ step, steps, loss, secondsLeft }: Omit<OwnStep, "type">) {
  return { step, steps, loss, secondsLeft };
}

/** A batch has at least eight pictures, as batch normalisation needs, where there are eight. */
function choicesFor(images: number): TrainChoices {
  const batchSize = Math.max(8, Math.min(32, Math.floor(images / 8)));
  const epochs = Math.max(2, Math.min(60, Math.round(STEPS / Math.ceil(images / batchSize))));
  return { depth: 8, width: 8, images, epochs, batchSize, learningRate: 0.05, device: "auto" };
}

function trainingSet({ classNames, inputs, labels }: Lesson): Dataset {
  if (!(inputs instanceof Uint8Array)) throw new TypeError("a whole network learns from pictures");
  const [channels, height, width] = imageShape;
  const size = { channels, height, width };
  const { mean, std } = channelStatistics(inputs, size);
  const common = { name: "your pictures", classNames, size, mean, std };
  return { ...common, images: inputs, labels, count: labels.length };
}

function datasetOf({ images, labels }: Examples, like: Dataset): Dataset {
  return { ...like, images, labels, count: labels.length };
}

/** The files of a checkpoint, and what its frozen network sees in the pictures that were held out. */
async function finished(checkpoint: Uint8Array, heldOut: Examples, queue: Queue): Promise<OwnTrained> {
  const decoded = decodeCheckpoint(checkpoint);
  const plain = frozenModel(decoded, "the checkpoint of the page");
  const predictions = await queue.run(() => predictionsOf(plain, heldOut));
  const right = predictions.filter((predicted, i) => predicted === heldOut.labels[i]).length;
  const testAccuracy = predictions.length === 0 ? undefined : (100 * right) / predictions.length;
  const onnx = frozenModel(decoded, "the checkpoint of the page", { testAccuracy });
  return { name: NAME, onnx, checkpoint, predictions };
}

const BATCH = 64;

async function predictionsOf(onnx: Uint8Array, { images, labels }: Examples): Promise<Uint8Array> {
  const classifier = await Classifier.open(onnx, await openDevice("wasm"), "the trained network");
  try {
    const predictions: number[] = [];
    for (let first = 0; first < labels.length; first += BATCH) {
      const logits = await classifier.logits(images.subarray(first * PIXELS, (first + BATCH) * PIXELS));
      predictions.push(...bestOfRows(floatData(logits), at(logits.dims, 1)));
    }
    return Uint8Array.from(predictions);
  } finally {
    await classifier.release();
  }
}
