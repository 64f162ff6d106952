import { decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import type {
  ClassificationEvent,
  ClassificationRecord,
  ClassificationTask,
} from "../../runtime/data/classification-task.ts";
import { datasets, shapesDataset } from "../../runtime/data/dataset.ts";
import type { Dataset } from "../../runtime/data/types.ts";
import type { Device } from "../../runtime/device/device.ts";
import { cosine } from "../../runtime/loop/schedule.ts";
import { train } from "../../runtime/loop/train.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import { frozenModel } from "../../shakenet/provenance.ts";
import type { ArtifactSettings } from "../../shakenet/settings.ts";
import { shakeNetTask } from "../../shakenet/task.ts";
import type { ShakeNetArtifacts } from "../../shakenet/training-artifacts.ts";
import { buildTrainingArtifacts } from "../../shakenet/training-artifacts.ts";
import type { DeviceName, TrainChoices, Trained, TrainingEnd, WorkerEvent } from "../protocol.ts";
import { expectGraphicsCard, openDevice } from "./devices.ts";
import type { Queue } from "./queue.ts";

const TEST_IMAGES = 500;
/** A checkpoint every few seconds. */
const CHECKPOINT_STEPS = 20;

/** A training in the page: the same artifacts, session and loop as the command line's, on pictures drawn here. */
export class PageTraining {
  readonly #choices: TrainChoices;
  readonly #artifacts: ShakeNetArtifacts;
  readonly #settings: ArtifactSettings;
  readonly #queue: Queue;
  readonly #tell: (event: WorkerEvent) => void;
  readonly #trainSet: Dataset;
  readonly #testSet: Dataset;
  #checkpoint: Uint8Array;
  #record: ClassificationRecord | undefined;
  #stopping: AbortController | undefined;

  /** Compiles the network. Throws UserError for choices that make none. */
  constructor(choices: TrainChoices, queue: Queue, tell: (event: WorkerEvent) => void) {
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

  /** Trains from the last checkpoint until the end or until it is stopped. Throws UserError where it diverges. */
  async run(): Promise<TrainingEnd> {
    const stopping = new AbortController();
    this.#stopping = stopping;
    const { device, session } = await this.#queue.run(() => this.#openFaster());
    let end: TrainingEnd = { step: 0, finished: true };
    try {
      const events = train(session, this.#task(device), {
        epochs: this.#choices.epochs,
        learningRate: cosine(this.#choices.learningRate),
        checkpointEverySteps: CHECKPOINT_STEPS,
        store: { save: async (kind, bytes) => this.#keep(kind, bytes) },
        signal: stopping.signal,
      });
      for (;;) {
        const { value: event, done } = await this.#queue.run(() => events.next());
        if (done) break;
        end = this.#report(event, end);
        await messagesHandled();
      }
    } finally {
      this.#stopping = undefined;
      await this.#queue.run(() => session.release());
    }
    return end;
  }

  stop(): void {
    this.#stopping?.abort();
  }

  /** The network and the checkpoint as they are. */
  trained(): Trained {
    const checkpoint = decodeCheckpoint(this.#checkpoint);
    const isMeasured = this.#record?.step === Number(checkpoint.properties.get("step"));
    const onnx = frozenModel(checkpoint, "The checkpoint of the page", {
      data: "shapes",
      testAccuracy: isMeasured ? this.#record?.test_accuracy : undefined,
    });
    return { name: "trained-in-the-page.onnx", onnx, checkpoint: this.#checkpoint };
  }

  /** Opens the session on the device that was told, or on the one whose step was found faster. */
  async #openFaster(): Promise<{ device: Device; session: TrainingSession }> {
    const { device } = this.#choices;
    const { name, reason } =
      device === "auto" ? await this.#compare() : { name: device, reason: "as chosen" };
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
      return { name: "wasm", reason: (error as Error).message };
    }
  }

  /** The time of a step after the first, in ms. */
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

  /** The paper's scheme on the page's pictures. */
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
    const device = await openDevice(name);
    return { device, session: await TrainingSession.create(sources, device) };
  }

  #keep(kind: "last" | "best", bytes: Uint8Array): void {
    if (kind === "last") this.#checkpoint = bytes;
  }

  #report(event: ClassificationEvent, end: TrainingEnd): TrainingEnd {
    if (event.type === "step") {
      this.#tell(event);
      return { ...end, step: event.step };
    }
    if (event.type === "epoch") {
      this.#record = event.record;
      this.#tell(event);
    }
    return event.type === "interrupted" ? { step: event.step, finished: false } : end;
  }
}

function formatMs(milliseconds: number): string {
  return `${milliseconds.toPrecision(2)} ms`;
}

/** Lets messages in, which wait as long as only promises are awaited. */
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
