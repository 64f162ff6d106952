import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import type { Classifier } from "../../runtime/inference/classifier.ts";
import { openClassifier } from "../../shakenet/classifier.ts";
import type { Answer, DeviceName } from "../calls/model.ts";
import type { OwnCalls, OwnStep } from "../calls/own.ts";
import { openDevice } from "./devices.ts";
import type { FeatureNetwork } from "./features.ts";
import type { Queue } from "./queue.ts";
import { softmax } from "./softmax.ts";

/**
 * The functions of the worker for the tab Your pictures. The compiler and the training are loaded with the
 * first call.
 */
export function ownJob(queue: Queue, tell: (event: OwnStep) => void, chosen: () => DeviceName): OwnCalls {
  const networks = new FeatureNetworks(queue);
  const embedOn = async (device: DeviceName, checkpoint: string, images: Uint8Array) => {
    const network = await networks.get(checkpoint, device);
    return { features: await queue.run(() => network.embed(images)), device };
  };
  const trainings = new OneTraining();
  const classifier = new OwnClassifier(queue);
  return {
    featureNetwork: async (checkpoint) => (await networks.get(checkpoint)).info,
    async embed(checkpoint, images) {
      const device = chosen();
      try {
        return await embedOn(device, checkpoint, images);
      } catch (error) {
        // a graphics card that fails is no reason to learn nothing
        if (device === "wasm") throw error;
        return embedOn("wasm", checkpoint, images);
      }
    },
    trainLastLayer: (checkpoint, lesson) =>
      trainings.run(async (signal) => {
        const { trainOnFeatures } = await import("./own-training.ts");
        return trainOnFeatures(await networks.get(checkpoint), lesson, { queue, tell, signal });
      }),
    trainWhole: (lesson) =>
      trainings.run(async (signal) => {
        const { trainWhole } = await import("./own-training.ts");
        return trainWhole(lesson, { queue, tell, signal });
      }),
    stopOwn: async () => trainings.stop(),
    openOwn: (onnx) => classifier.open(onnx),
    closeOwn: () => classifier.close(),
    classifyOwn: (images) => classifier.classify(images),
  };
}

/** The training that runs, if one does. */
class OneTraining {
  #stopping: AbortController | undefined;

  /** Runs a training. Throws UserError where another one runs. */
  async run<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#stopping)
      throw new UserError("A training is running: stop it first.", { code: "session-busy" });
    this.#stopping = new AbortController();
    try {
      return await task(this.#stopping.signal);
    } finally {
      this.#stopping = undefined;
    }
  }

  stop(): void {
    this.#stopping?.abort();
  }
}

/** The networks of checkpoints, by their addresses and devices. */
class FeatureNetworks {
  readonly #queue: Queue;
  readonly #networks = new Map<string, Promise<FeatureNetwork>>();

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  /**
   * The network of a checkpoint. Rejects with UserError where it cannot be loaded; a later call tries again.
   */
  get(checkpoint: string, device: DeviceName = "wasm"): Promise<FeatureNetwork> {
    const key = `${device} ${checkpoint}`;
    const known = this.#networks.get(key) ?? this.#queue.run(() => openFeatures(checkpoint, device));
    this.#networks.set(key, known);
    known.catch(() => this.#networks.delete(key));
    return known;
  }
}

/** The trained network that answers. */
class OwnClassifier {
  readonly #queue: Queue;
  #classifier: Classifier | undefined;

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  open(onnx: Uint8Array): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#classifier;
      this.#classifier = await openClassifier(onnx, await openDevice("wasm"), "the trained network");
      await before?.release();
    });
  }

  close(): Promise<void> {
    return this.#queue.run(async () => {
      const before = this.#classifier;
      this.#classifier = undefined;
      await before?.release();
    });
  }

  async classify(images: Uint8Array): Promise<Answer> {
    return this.#queue.run(async () => {
      if (!this.#classifier) throw new UserError("No network is trained yet.", { code: "model-missing" });
      const start = performance.now();
      const logits = await this.#classifier.logits(images);
      const probabilities = softmax(floatData(logits), at(logits.dims, 1));
      return { probabilities, device: "wasm", milliseconds: performance.now() - start };
    });
  }
}

async function openFeatures(checkpoint: string, device: DeviceName): Promise<FeatureNetwork> {
  const response = await fetch(checkpoint).catch(() => undefined);
  if (!response?.ok)
    throw new UserError(`The network could not be loaded from ${checkpoint}: reload the page.`, {
      code: "download-failed",
    });
  const { FeatureNetwork } = await import("./features.ts");
  const bytes = new Uint8Array(await response.arrayBuffer());
  return FeatureNetwork.open(bytes, await openDevice(device), "the page's checkpoint");
}
