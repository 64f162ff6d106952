import type { Tensor } from "onnxruntime-common";
import { type Checkpoint, encodeCheckpoint } from "../artifacts/checkpoint.ts";
import { UserError } from "../graph-builder/index.ts";
import {
  type EvaluationBatch,
  evalBatches,
  stepsPerEpoch,
  type TrainBatch,
  trainBatch,
} from "../runtime/data/batches.ts";
import type { Dataset } from "../runtime/data/dataset.ts";
import type { Device } from "../runtime/device/devices.ts";
import { Classifier } from "../runtime/inference/classifier.ts";
import { type Evaluation, EvaluationSums } from "../runtime/inference/evaluation.ts";
import { cosineLearningRate } from "../runtime/loop/schedule.ts";
import type { Trainer } from "../runtime/session/trainer.ts";
import type { NamedTensors } from "../runtime/session/training-session.ts";
import { inferenceModel } from "./inference-model.ts";
import { blockCount, imageShape, type NetworkSettings } from "./network.ts";
import { type ShakeSettings, shakeCoefficients } from "./shake-noise.ts";

/** How to train; the words are the paper's. */
export interface TrainingSettings extends ShakeSettings {
  readonly epochs: number;
  readonly batchSize: number;
  /** The peak rate; it falls to zero over the whole run along a cosine, step by step. */
  readonly learningRate: number;
  /** Of the order of images, crops, flips, alpha and beta. */
  readonly seed: number;
  /** How many steps lie between two checkpoints. */
  readonly checkpointEverySteps: number;
}

/** One line of metrics.jsonl. Accuracies are in percent. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number;
  /** Steps since the start of the run. */
  readonly step: number;
  readonly train_loss: number;
  readonly train_accuracy: number;
  readonly test_loss: number;
  readonly test_accuracy: number;
  /** Of the epoch's last step. */
  readonly learning_rate: number;
  readonly images_per_second: number;
  readonly seconds: number;
}

/** What happens in a run, in order; a terminal and a page render the same events. */
export type TrainingEvent =
  | {
      readonly type: "step";
      readonly epoch: number;
      readonly step: number;
      readonly steps: number;
      /** Means over the epoch so far. */
      readonly loss: number;
      readonly accuracy: number;
      /** Of this step alone. */
      readonly batchLoss: number;
      readonly batchAccuracy: number;
      readonly learningRate: number;
      readonly imagesPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly type: "evaluation"; readonly images: number; readonly of: number }
  | {
      readonly type: "epoch";
      readonly record: EpochRecord;
      readonly evaluation: Evaluation;
      readonly isBest: boolean;
    }
  | { readonly type: "checkpoint"; readonly kind: "last" | "best"; readonly step: number }
  | { readonly type: "interrupted"; readonly step: number };

export type StepEvent = Extract<TrainingEvent, { type: "step" }>;

/** Where checkpoints go; each call must leave the old file or the new one. */
export interface CheckpointStore {
  save(kind: "last" | "best", bytes: Uint8Array): Promise<void>;
}

export interface TrainingRun {
  readonly session: Trainer;
  /** Whose tensors the session takes, and where the network is evaluated. */
  readonly device: Device;
  readonly settings: TrainingSettings;
  readonly network: NetworkSettings;
  readonly trainSet: Dataset;
  readonly testSet: Dataset;
  readonly store: CheckpointStore;
  /** Ends the run after the step under way, with its checkpoint saved. */
  readonly signal?: AbortSignal;
}

/** Where a run stands between two steps; kept in the checkpoint as JSON, which holds doubles exactly. */
interface Progress {
  step: number;
  /** Sums over the epoch so far. */
  lossSum: number;
  correct: number;
  images: number;
  bestAccuracy: number;
}

/**
 * Trains from the session's checkpoint to the end of the last epoch. What a step does depends on the settings and its number
 * alone, so a run that was cut and opened again from its last checkpoint ends in the same bytes as one that was not (on the CPU,
 * with the same number of threads).
 * Throws UserError, naming the step, where the loss or a parameter is no longer finite; the checkpoints saved before are kept.
 */
export async function* train(run: TrainingRun): AsyncGenerator<TrainingEvent> {
  const { session, settings, trainSet, signal } = run;
  const perEpoch = stepsPerEpoch(trainSet, settings.batchSize);
  const steps = perEpoch * settings.epochs;
  const progress = readProgress(await session.checkpoint());
  yield* save(run, "last", progress);
  let clock = new Clock();
  let saved = progress.step;
  let next = prepareStep(run, progress.step);
  while (progress.step < steps) {
    const { batch, feeds } = next;
    session.learningRate = cosineLearningRate(settings.learningRate, progress.step + 1, steps);
    session.lazyResetGrad();
    const stepping = session.runTrainStep(feeds);
    if (progress.step + 1 < steps) next = prepareStep(run, progress.step + 1);
    const results = await stepping;
    const loss = expectFinite(scalar(results, "loss"), progress.step, saved, settings);
    await session.runOptimizerStep();
    const images = batch.labels.length;
    const correct = scalar(results, "correct");
    count(progress, images, loss, correct);
    clock.count(images);
    yield {
      ...stepEvent(run, progress, { perEpoch, steps, clock }),
      batchLoss: loss,
      batchAccuracy: (100 * correct) / images,
    };
    if (progress.step % perEpoch === 0) {
      yield* finishEpoch(run, progress, progress.step / perEpoch, clock);
      saved = progress.step;
      clock = new Clock();
    } else if (progress.step % settings.checkpointEverySteps === 0 || signal?.aborted) {
      yield* save(run, "last", progress);
      saved = progress.step;
    }
    if (signal?.aborted && progress.step < steps) {
      yield { type: "interrupted", step: progress.step };
      return;
    }
  }
}

/** Scores a data set batch by batch; `logitsOf` runs a model on images. Yields how far it is, returns the result. */
export async function* evaluate(
  dataset: Dataset,
  batchSize: number,
  logitsOf: (batch: EvaluationBatch) => Promise<Tensor>,
): AsyncGenerator<{ readonly type: "evaluation"; readonly images: number; readonly of: number }, Evaluation> {
  const sums = new EvaluationSums(dataset);
  let images = 0;
  for (const batch of evalBatches(dataset, batchSize)) {
    sums.add(await logitsOf(batch), batch.labels);
    images += batch.labels.length;
    yield { type: "evaluation", images, of: dataset.count };
  }
  return sums.result();
}

/** Scores the network as it would be frozen now, on the run's device. */
async function* evaluateFrozen({
  session,
  network,
  device,
  testSet,
  settings,
}: TrainingRun): ReturnType<typeof evaluate> {
  const model = inferenceModel(network, await session.checkpoint());
  const classifier = await Classifier.open(model, device, "the network");
  try {
    return yield* evaluate(testSet, settings.batchSize, ({ images }) => classifier.logits(images));
  } finally {
    await classifier.release();
  }
}

async function* finishEpoch(
  run: TrainingRun,
  progress: Progress,
  epoch: number,
  clock: Clock,
): AsyncGenerator<TrainingEvent> {
  const imagesPerSecond = clock.rate;
  const evaluation = yield* evaluateFrozen(run);
  const isBest = evaluation.accuracy > progress.bestAccuracy;
  const record: EpochRecord = {
    epoch,
    step: progress.step,
    train_loss: progress.lossSum / progress.images,
    train_accuracy: (100 * progress.correct) / progress.images,
    test_loss: evaluation.loss,
    test_accuracy: evaluation.accuracy,
    learning_rate: run.session.learningRate,
    images_per_second: imagesPerSecond,
    seconds: clock.seconds,
  };
  yield { type: "epoch", record, evaluation, isBest };
  Object.assign(progress, { lossSum: 0, correct: 0, images: 0 });
  if (isBest) {
    progress.bestAccuracy = evaluation.accuracy;
    yield* save(run, "best", progress);
  }
  yield* save(run, "last", progress);
}

interface PreparedStep {
  readonly batch: TrainBatch;
  readonly feeds: NamedTensors;
}

function prepareStep({ trainSet, settings, network, device }: TrainingRun, step: number): PreparedStep {
  const batch = trainBatch(trainSet, settings, step);
  const { images, labels } = batch;
  const blocks = blockCount(network);
  const { alpha, beta } = shakeCoefficients({ ...settings, blocks, batch: labels.length }, step);
  const { Tensor } = device.ort;
  const coefficients = (data: Float32Array) =>
    new Tensor("float32", data as Float32Array<ArrayBuffer>, [blocks, labels.length]);
  return {
    batch,
    feeds: {
      images: new Tensor("uint8", images as Uint8Array<ArrayBuffer>, [labels.length, ...imageShape]),
      labels: new Tensor("int64", labels as BigInt64Array<ArrayBuffer>, [labels.length]),
      alpha: coefficients(alpha),
      beta: coefficients(beta),
    },
  };
}

async function* save(
  run: TrainingRun,
  kind: "last" | "best",
  progress: Progress,
): AsyncGenerator<TrainingEvent> {
  const { session, settings, trainSet } = run;
  const checkpoint = await session.checkpoint();
  for (const [name, { data }] of [...checkpoint.trainable, ...checkpoint.frozen]) {
    if (!(data as Float32Array).every(Number.isFinite))
      throw diverged(`${name} has a value that is not finite`, progress.step, settings);
  }
  const epoch = Math.floor(progress.step / stepsPerEpoch(trainSet, settings.batchSize));
  checkpoint.properties.set("epoch", BigInt(epoch));
  checkpoint.properties.set("step", BigInt(progress.step));
  checkpoint.properties.set("progress", JSON.stringify(progress));
  await run.store.save(kind, encodeCheckpoint(checkpoint));
  yield { type: "checkpoint", kind, step: progress.step };
}

function readProgress({ properties }: Checkpoint): Progress {
  const saved = properties.get("progress");
  const start: Progress = { step: 0, lossSum: 0, correct: 0, images: 0, bestAccuracy: -1 };
  return typeof saved === "string" ? { ...start, ...(JSON.parse(saved) as Progress) } : start;
}

function count(progress: Progress, images: number, loss: number, correct: number): void {
  progress.step += 1;
  progress.images += images;
  progress.lossSum += loss * images;
  progress.correct += correct;
}

function stepEvent(
  { session }: TrainingRun,
  progress: Progress,
  { perEpoch, steps, clock }: { perEpoch: number; steps: number; clock: Clock },
): Omit<StepEvent, "batchLoss" | "batchAccuracy"> {
  return {
    type: "step",
    epoch: Math.ceil(progress.step / perEpoch),
    step: progress.step,
    steps,
    loss: progress.lossSum / progress.images,
    accuracy: (100 * progress.correct) / progress.images,
    learningRate: session.learningRate,
    imagesPerSecond: clock.rate,
    secondsLeft: (steps - progress.step) * clock.secondsPerStep,
  };
}

/** Wall time and images since the epoch, or a resume within it, began. */
class Clock {
  readonly #start = performance.now();
  #images = 0;
  #steps = 0;

  count(images: number): void {
    this.#images += images;
    this.#steps += 1;
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  get rate(): number {
    return this.#images / this.seconds;
  }

  get secondsPerStep(): number {
    return this.seconds / Math.max(1, this.#steps);
  }
}

function scalar(results: NamedTensors, name: string): number {
  const value = results[name]?.data[0];
  if (value === undefined) throw new UserError(`The training model has no output ${name}.`);
  return Number(value);
}

function expectFinite(loss: number, step: number, saved: number, settings: TrainingSettings): number {
  if (Number.isFinite(loss)) return loss;
  throw diverged(`the loss is ${loss}`, step, settings, saved);
}

function diverged(what: string, step: number, { learningRate }: TrainingSettings, saved?: number): UserError {
  const kept =
    saved === undefined ? "the checkpoint before it is kept" : `the checkpoint of step ${saved} is kept`;
  return new UserError(
    `The run diverged at step ${step + 1}: ${what}; a learning rate below ${learningRate} may help, and ${kept}.`,
  );
}
