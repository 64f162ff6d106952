import { type Checkpoint, decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import type { LastBatch } from "../../runtime/data/batches.ts";
import type {
  ClassificationEvent,
  ClassificationMetric,
  ClassificationTask,
} from "../../runtime/data/classification-task.ts";
import type { DatasetName } from "../../runtime/data/dataset.ts";
import type { Dataset, PictureFacts } from "../../runtime/data/types.ts";
import type { Device } from "../../runtime/device/device.ts";
import { ortReason } from "../../runtime/device/ort-errors.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import { Classifier } from "../../runtime/inference/classifier.ts";
import { evaluate } from "../../runtime/inference/evaluation.ts";
import { cosine } from "../../runtime/loop/schedule.ts";
import type { EvaluationProgress, Metrics } from "../../runtime/loop/task.ts";
import { train } from "../../runtime/loop/train.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import {
  type ArtifactSettings,
  blockCount,
  buildTrainingArtifacts,
  frozenModel,
  inferenceModel,
  type ShakeNetArtifacts,
  shakeCoefficients,
  shakeNetTask,
} from "../../shakenet/index.ts";
import type { DeviceName } from "../calls/model.ts";
import type {
  Inside,
  KeptTraining,
  TestPictures,
  TrainChoices,
  Trained,
  TrainingEnd,
  TrainingEvent,
} from "../calls/training.ts";
import { expectGraphicsCard, openTrainingDevice } from "./devices.ts";
import { History } from "./history.ts";
import { insideOf } from "./inside.ts";
import type { Queue } from "./queue.ts";

const CHECKPOINT_STEPS = 20;

/** The pictures that a training in the page learns from, and those that it is measured on. */
export interface TrainingPictures {
  readonly trainSet: Dataset;
  readonly testSet: Dataset;
  /** The name of a known data set. */
  readonly data?: DatasetName | undefined;
  /** What the checkpoint keeps of pictures of one's own. */
  readonly own?: Pick<PictureFacts, "classNames" | "background"> | undefined;
  readonly lastBatch?: LastBatch | undefined;
  /** 1 where left out. */
  readonly evaluateEveryEpochs?: number | undefined;
}

/** What a training tells, and where it is kept across reloads. */
export interface TrainingSurroundings {
  readonly queue: Queue;
  readonly tell: (event: TrainingEvent) => void;
  /** Resolves to whether it is kept. */
  readonly keep: (training: KeptTraining) => Promise<boolean>;
}

/** A session on a device, the task whose feeds it takes, and the time of its last rehearsal. */
interface Opened {
  readonly name: DeviceName;
  readonly session: TrainingSession;
  readonly task: ClassificationTask;
  readonly milliseconds: number;
}

/**
 * A training in the page. The artifacts, the session and the loop are those of the command line.
 */
export class PageTraining {
  readonly #choices: TrainChoices;
  readonly #artifacts: ShakeNetArtifacts;
  readonly #settings: ArtifactSettings;
  readonly #surroundings: TrainingSurroundings;
  readonly #pictures: TrainingPictures;
  readonly #history: History;
  #predictions: Uint8Array = new Uint8Array();
  #checkpoint: Uint8Array;
  #stopping: AbortController | undefined;

  /**
   * Compiles the network, or goes on with a training that was kept. Throws UserError for a depth or a width
   * that no network has.
   */
  constructor(
    choices: TrainChoices,
    pictures: TrainingPictures,
    surroundings: TrainingSurroundings,
    kept?: KeptTraining,
  ) {
    const { mean, std, classNames } = pictures.trainSet;
    this.#choices = choices;
    this.#pictures = pictures;
    this.#settings = {
      depth: choices.depth,
      width: choices.width,
      classes: classNames.length,
      mean,
      std,
      target: "ort-training",
      optimizer: "sgd-nesterov",
      momentum: 0.9,
      weightDecay: 1e-4,
      seed: 1,
    };
    this.#artifacts = buildTrainingArtifacts(this.#settings, { pictures: pictures.own });
    this.#checkpoint = kept?.checkpoint ?? this.#artifacts.checkpoint;
    this.#history = new History(kept?.history);
    this.#surroundings = surroundings;
  }

  get isRunning(): boolean {
    return this.#stopping !== undefined;
  }

  /** The step of the last checkpoint. */
  get #step(): number {
    return Number(decodeCheckpoint(this.#checkpoint).properties.get("step") ?? 0);
  }

  /**
   * Trains from the last checkpoint to the end, or until `stop`, also while the device is prepared. Throws
   * UserError where the device cannot be opened and where the training diverges. `run` can be called again
   * after an error.
   */
  async run(): Promise<TrainingEnd> {
    const { queue } = this.#surroundings;
    const stopping = new AbortController();
    const { signal } = stopping;
    this.#stopping = stopping;
    try {
      const { session, task, name, reason } = await queue.run(() => this.#openFaster(signal));
      this.#surroundings.tell({ type: "prepared", device: name, reason });
      try {
        return await this.#train(session, task, signal);
      } finally {
        await queue.run(() => session.release());
      }
    } catch (error) {
      if (signal.aborted && error === signal.reason) return { step: this.#step, finished: false };
      throw error;
    } finally {
      this.#stopping = undefined;
    }
  }

  async #train(
    session: TrainingSession,
    task: ClassificationTask,
    signal: AbortSignal,
  ): Promise<TrainingEnd> {
    const events = train(session, task, {
      epochs: this.#choices.epochs,
      learningRate: cosine(this.#choices.learningRate),
      checkpointEverySteps: CHECKPOINT_STEPS,
      evaluateEveryEpochs: this.#pictures.evaluateEveryEpochs,
      store: { save: (kind, bytes) => this.#keep(kind, bytes) },
      signal,
    });
    let end: TrainingEnd = { step: 0, finished: true };
    for (;;) {
      const { value: event, done } = await this.#surroundings.queue.run(() => events.next());
      if (done) return end;
      this.#report(event);
      if (event.type === "step") end = { step: event.step, finished: true };
      if (event.type === "interrupted") end = { step: event.step, finished: false };
      await messagesHandled();
    }
  }

  stop(): void {
    this.#stopping?.abort();
  }

  /** Freezes the last checkpoint. Throws UserError before the first update. */
  trained(): Trained {
    const checkpoint = decodeCheckpoint(this.#checkpoint);
    const step = this.#step;
    if (step === 0)
      throw new UserError("The network has not been trained yet: start the training.", {
        code: "model-missing",
      });
    const record = this.#history.records.at(-1);
    const onnx = frozenModel(checkpoint, "the checkpoint of the page", {
      data: this.#pictures.data,
      testAccuracy: record?.step === step ? record.test_accuracy : undefined,
    });
    return { name: "trained-in-the-page.onnx", onnx, checkpoint: this.#checkpoint };
  }

  testPictures(): TestPictures {
    const { images, labels, classNames } = this.#pictures.testSet;
    return { images, labels: Uint8Array.from(labels), classNames };
  }

  /** What the network of the last checkpoint has inside, for one picture. */
  inside(image: Uint8Array): Promise<Inside> {
    const checkpoint = decodeCheckpoint(this.#checkpoint);
    return this.#surroundings.queue.run(() => insideOf(this.#settings, checkpoint, image));
  }

  /**
   * Opens the session on the device that was chosen, or on the device with the faster step. Throws the reason
   * of the signal once it is aborted.
   */
  async #openFaster(signal: AbortSignal): Promise<Opened & { readonly reason: string }> {
    const { device } = this.#choices;
    // WebGPU compiles its kernels in the first run
    if (device !== "auto")
      return { ...(await this.#open(device, device === "webgpu" ? 1 : 0, signal)), reason: "your choice" };
    const refusal = await expectGraphicsCard().then(() => undefined, ortReason);
    if (refusal !== undefined) return { ...(await this.#open("wasm", 0, signal)), reason: refusal };
    const wasm = await this.#open("wasm", 2, signal);
    try {
      const webgpu = await this.#open("webgpu", 2, signal);
      const [fast, slow] = webgpu.milliseconds < wasm.milliseconds ? [webgpu, wasm] : [wasm, webgpu];
      await slow.session.release();
      const [ours, theirs] = [wasm, webgpu].map(({ milliseconds }) => formatMs(milliseconds));
      return { ...fast, reason: `a step takes ${ours} on WebAssembly, ${theirs} on WebGPU` };
    } catch (error) {
      if (!signal.aborted) return { ...wasm, reason: ortReason(error) };
      await wasm.session.release();
      throw error;
    }
  }

  /**
   * Opens a session and rehearses its first step some times, which changes nothing. Throws the reason of the
   * signal once it is aborted.
   */
  async #open(name: DeviceName, rehearsals: number, signal: AbortSignal): Promise<Opened> {
    this.#surroundings.tell({ type: "preparing", device: name });
    const { trainingModel, optimizerModel } = this.#artifacts;
    const sources = { checkpoint: this.#checkpoint, trainingModel, optimizerModel };
    const device = await openTrainingDevice(name);
    const [task, session] = [this.#task(device), await TrainingSession.create(sources, device)];
    try {
      const { feeds } = await task.feeds(0);
      let milliseconds = Number.NaN;
      for (let rehearsal = 0; rehearsal < rehearsals; rehearsal++) {
        await messagesHandled();
        signal.throwIfAborted();
        const start = performance.now();
        await session.warmUp(feeds);
        milliseconds = performance.now() - start;
      }
      await messagesHandled();
      signal.throwIfAborted();
      return { name, session, task, milliseconds };
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  #task(device: Device): ClassificationTask {
    const task = shakeNetTask({
      network: this.#settings,
      trainSet: this.#pictures.trainSet,
      testSet: this.#pictures.testSet,
      lastBatch: this.#pictures.lastBatch,
      device,
      batchSize: this.#choices.batchSize,
      ...scheme,
    });
    return { ...task, evaluate: (checkpoint) => this.#evaluate(checkpoint, device) };
  }

  /** Evaluates the frozen network of a checkpoint, and remembers the class that it sees in every picture. */
  async *#evaluate(
    checkpoint: Checkpoint,
    device: Device,
  ): AsyncGenerator<EvaluationProgress, Metrics<ClassificationMetric>> {
    const classifier = await Classifier.open(
      inferenceModel(this.#settings, checkpoint),
      device,
      "the network",
    );
    const predictions: number[] = [];
    try {
      const { loss, accuracy } = yield* evaluate(
        this.#pictures.testSet,
        this.#choices.batchSize,
        async ({ images }) => {
          const logits = await classifier.logits(images);
          predictions.push(...bestOfRows(floatData(logits), at(logits.dims, 1)));
          return logits;
        },
      );
      this.#predictions = Uint8Array.from(predictions);
      return { loss, accuracy };
    } finally {
      await classifier.release();
    }
  }

  async #keep(kind: "last" | "best", checkpoint: Uint8Array): Promise<void> {
    if (kind !== "last") return;
    this.#checkpoint = checkpoint;
    const { keep, tell } = this.#surroundings;
    const isKept = await keep({ choices: this.#choices, checkpoint, history: this.#history.data });
    tell({ type: "kept", isKept });
  }

  #report(event: ClassificationEvent): void {
    if (event.type === "step") {
      const { step, steps, epoch, batchMetrics, examplesPerSecond, secondsLeft } = event;
      const { batchSize } = this.#choices;
      const point = { step, steps, ...batchMetrics };
      this.#history.addPoint(point);
      const blocks = blockCount(this.#settings);
      const stepsPerSecond = examplesPerSecond / batchSize;
      const coefficients = shakeCoefficients({ ...scheme, blocks, batch: batchSize }, step - 1);
      this.#surroundings.tell({
        type: "step",
        ...{ ...point, epoch, stepsPerSecond, secondsLeft, blocks, ...coefficients },
      });
    } else if (event.type === "epoch") {
      const [record, predictions] = [event.record, this.#predictions];
      this.#history.addRecord(record, predictions);
      this.#surroundings.tell({ type: "epoch", record, predictions });
    }
  }
}

/** Shake-Shake with the paper's scheme S-S-I. */
const scheme = { forward: "shake", backward: "shake", level: "image", seed: 1 } as const;

/** The place of the largest element in each row of `columns` elements. */
export function bestOfRows(values: Float32Array, columns: number): number[] {
  return Array.from({ length: values.length / columns }, (_, row) => {
    const own = values.subarray(row * columns, (row + 1) * columns);
    return own.indexOf(own.reduce((a, b) => Math.max(a, b)));
  });
}

function formatMs(milliseconds: number): string {
  return `${milliseconds.toPrecision(2)} ms`;
}

/**
 * Waits for one task of the event loop, so that the worker receives messages. Promises alone do not let
 * them in.
 */
export function messagesHandled(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
