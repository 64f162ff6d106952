import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import type { Classifier } from "../../runtime/inference/classifier.ts";
import { openClassifier } from "../../shakenet/classifier.ts";
import type { OwnCalls, OwnStep } from "../calls/own.ts";
import { openDevice } from "./devices.ts";
import type { FeatureNetwork } from "./features.ts";
import type { Queue } from "./queue.ts";
import { softmax } from "./softmax.ts";

/**
 * The functions of the worker for the tab Your pictures. The compiler and the training are loaded with the
 * first call.
 */
export function ownJob(queue: Queue, tell: (event: OwnStep) => void): OwnCalls {
  const networks = new Map<string, Promise<FeatureNetwork>>();
  let classifier: Classifier | undefined;
  let stopping: AbortController | undefined;
  const network = (checkpoint: string) => {
    const known = networks.get(checkpoint) ?? queue.run(() => openFeatures(checkpoint));
    networks.set(checkpoint, known);
    // a later call tries again
    known.catch(() => networks.delete(checkpoint));
    return known;
  };
  const training = async <T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    if (stopping) throw new UserError("A training is running: stop it first.", { code: "session-busy" });
    stopping = new AbortController();
    try {
      return await task(stopping.signal);
    } finally {
      stopping = undefined;
    }
  };
  return {
    featureNetwork: async (checkpoint) => (await network(checkpoint)).info,
    async embed(checkpoint, images) {
      const features = await network(checkpoint);
      return queue.run(() => features.embed(images));
    },
    trainLastLayer: (checkpoint, lesson) =>
      training(async (signal) => {
        const { trainOnFeatures } = await import("./own-training.ts");
        return trainOnFeatures(await network(checkpoint), lesson, { queue, tell, signal });
      }),
    trainWhole: (lesson) =>
      training(async (signal) => {
        const { trainWhole } = await import("./own-training.ts");
        return trainWhole(lesson, { queue, tell, signal });
      }),
    stopOwn: async () => stopping?.abort(),
    async openOwn(onnx) {
      const before = classifier;
      classifier = await queue.run(async () =>
        openClassifier(onnx, await openDevice("wasm"), "the trained network"),
      );
      await queue.run(async () => before?.release());
    },
    async classifyOwn(images) {
      const opened = classifier;
      if (!opened) throw new UserError("No network is trained yet.", { code: "model-missing" });
      return queue.run(async () => {
        const start = performance.now();
        const logits = await opened.logits(images);
        const probabilities = softmax(floatData(logits), at(logits.dims, 1));
        return { probabilities, device: "wasm" as const, milliseconds: performance.now() - start };
      });
    },
  };
}

async function openFeatures(checkpoint: string): Promise<FeatureNetwork> {
  const response = await fetch(checkpoint).catch(() => undefined);
  if (!response?.ok)
    throw new UserError(`The network could not be loaded from ${checkpoint}: reload the page.`, {
      code: "download-failed",
    });
  const { FeatureNetwork } = await import("./features.ts");
  const bytes = new Uint8Array(await response.arrayBuffer());
  return FeatureNetwork.open(bytes, await openDevice("wasm"), "the page's checkpoint");
}
