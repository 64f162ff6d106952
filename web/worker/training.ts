import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import type {
  ClassificationEvent,
  ClassificationRecord,
  ClassificationTask,
} from "../../runtime/data/classification-task.ts";
import { datasets, shapesDataset } from "../../runtime/data/dataset.ts";
import type { Dataset } from "../../runtime/data/types.ts";
import type { Device } from "../../runtime/device/device.ts";
import { ortReason } from "../../runtime/device/ort-errors.ts";
import { cosine } from "../../runtime/loop/schedule.ts";
import { train } from "../../runtime/loop/train.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  frozenModel,
  type ShakeNetArtifacts,
  shakeNetTask,
} from "../../shakenet/index.ts";
import type { DeviceName } from "../calls/model.ts";
import type { TrainChoices, Trained, TrainingEnd, TrainingEvent } from "../calls/training.ts";
import { expectGraphicsCard, openTrainingDevice } from "./devices.ts";
import type { Queue } from "./queue.ts";

const TEST_IMAGES = 500;
const CHECKPOINT_STEPS = 20;

/**
 * A training in the page, on `shapes`. The artifacts, the session and the loop are those of the command
 * line.
 */
export class PageTraining {
  readonly #choices: TrainChoices;
  readonly #artifacts: ShakeNetArtifacts;
  readonly #settings: ArtifactSettings;
  readonly #queue: Queue;
  readonly #tell: (event: TrainingEvent) => void;
  readonly #trainSet: Dataset;
  readonly #testSet: Dataset;
  #checkpoint: Uint8Array;
  #record: ClassificationRecord | undefined;
  #stopping: AbortController | undefined;

  /** Compiles the network. Throws UserError for a depth or a width that no network has. */
  constructor(choices: TrainChoices, queue: Queue, tell: (event: TrainingEvent) => void) {
    const { mean, std, classNames } = datasets.shapes;
    this.#choices = choices;
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
    this.#artifacts = buildTrainingArtifacts(this.#settings);
    this.#checkpoint = this.#artifacts.checkpoint;
    this.#trainSet = shapesDataset("train", choices.images);
    this.#testSet = shapesDataset("test", TEST_IMAGES);
    this.#queue = queue;
    this.#tell = tell;
  }

  get isRunning(): boolean {
    return this.#stopping !== undefined;
  }

  /**
   * Trains from the last checkpoint to the end, or until `stop`. Throws UserError where the device cannot be
   * opened and where the training diverges. `run` can be called again after an error.
   */
  async run(): Promise<TrainingEnd> {
    const stopping = new AbortController();
    this.#stopping = stopping;
    try {
      const { device, session } = await this.#queue.run(() => this.#openFaster());
      try {
        return await this.#train(session, this.#task(device), stopping.signal);
      } finally {
        await this.#queue.run(() => session.release());
      }
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
      store: { save: async (kind, bytes) => this.#keep(kind, bytes) },
      signal,
    });
    let end: TrainingEnd = { step: 0, finished: true };
    for (;;) {
      const { value: event, done } = await this.#queue.run(() => events.next());
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

  /** Freezes the last checkpoint. */
  trained(): Trained {
    const checkpoint = decodeCheckpoint(this.#checkpoint);
    const isMeasured = this.#record?.step === Number(checkpoint.properties.get("step"));
    const onnx = frozenModel(checkpoint, "the checkpoint of the page", {
      data: "shapes",
      testAccuracy: isMeasured ? this.#record?.test_accuracy : undefined,
    });
    return { name: "trained-in-the-page.onnx", onnx, checkpoint: this.#checkpoint };
  }

  /** Opens the session on the device that was chosen, or on the device with the faster step. */
  async #openFaster(): Promise<{ device: Device; session: TrainingSession }> {
    const { device } = this.#choices;
    const { name, reason } =
      device === "auto" ? await this.#compare() : { name: device, reason: "your choice" };
    this.#tell({ type: "prepared", device: name, reason });
    return this.#open(name);
  }

  async #compare(): Promise<{ name: DeviceName; reason: string }> {
    try {
      await expectGraphicsCard();
      const wasm = await this.#timeStep("wasm");
      const webgpu = await this.#timeStep("webgpu");
      const reason = `a step takes ${formatMs(wasm)} on wasm, ${formatMs(webgpu)} on WebGPU`;
      return { name: webgpu < wasm ? "webgpu" : "wasm", reason };
    } catch (error) {
      return { name: "wasm", reason: ortReason(error) };
    }
  }

  /** Measures the second step, in ms. The first one also compiles kernels. */
  async #timeStep(name: DeviceName): Promise<number> {
    const { device, session } = await this.#open(name);
    const { feeds } = await this.#task(device).feeds(0);
    await session.runTrainStep(feeds);
    const start = performance.now();
    await session.runTrainStep(feeds);
    await session.runOptimizerStep();
    const milliseconds = performance.now() - start;
    await session.release();
    return milliseconds;
  }

  /** Shake-Shake with the paper's scheme S-S-I. */
  #task(device: Device): ClassificationTask {
    return shakeNetTask({
      network: this.#settings,
      trainSet: this.#trainSet,
      testSet: this.#testSet,
      device,
      batchSize: this.#choices.batchSize,
      forward: "shake",
      backward: "shake",
      level: "image",
      seed: 1,
    });
  }

  async #open(name: DeviceName): Promise<{ device: Device; session: TrainingSession }> {
    const { trainingModel, optimizerModel } = this.#artifacts;
    const sources = { checkpoint: this.#checkpoint, trainingModel, optimizerModel };
    const device = await openTrainingDevice(name);
    return { device, session: await TrainingSession.create(sources, device) };
  }

  #keep(kind: "last" | "best", bytes: Uint8Array): void {
    if (kind === "last") this.#checkpoint = bytes;
  }

  #report(event: ClassificationEvent): void {
    if (event.type === "epoch") this.#record = event.record;
    if (event.type === "step" || event.type === "epoch") this.#tell(event);
  }
}

function formatMs(milliseconds: number): string {
  return `${milliseconds.toPrecision(2)} ms`;
}

/**
 * Waits for one task of the event loop, so that the worker receives messages. Promises alone do not let
 * them in.
 */
function messagesHandled(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
