import type { InferenceSession, Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import type { InferenceDevice } from "../../runtime/device/inference-device.ts";
import { ortReason } from "../../runtime/device/ort-errors.ts";
import type { Classifier } from "../../runtime/inference/classifier.ts";
import { openClassifier } from "../../shakenet/classifier.ts";
import { imageShape } from "../../shakenet/network.ts";
import type { Answer, DeviceChoice, DeviceName, DeviceReport, Devices } from "../calls/model.ts";
import { openDevice, threads, threadsReason } from "./devices.ts";
import type { Model } from "./models.ts";
import type { Queue } from "./queue.ts";
import { softmax } from "./softmax.ts";

const PIXELS = imageShape.reduce((product, dim) => product * dim, 1);
const TIMED_RUNS = 7;
const TIMED_MS = 500;

/** The model that the page shows. It is open on wasm, on WebGPU or on both. */
export class ShownModel {
  readonly model: Model;
  readonly #queue: Queue;
  readonly #classifiers = new Map<DeviceName, Classifier>();
  readonly #shakers = new Map<DeviceName, InferenceSession>();
  readonly #reports = new Map<DeviceName, DeviceReport>();
  #chosen: DeviceName = "wasm";
  #choice: DeviceChoice = "auto";
  #isReleased = false;

  private constructor(model: Model, queue: Queue) {
    this.model = model;
    this.#queue = queue;
  }

  /**
   * Opens a model on wasm and measures it. Throws UserError where ONNX Runtime refuses the model, and where
   * its pictures are not 3 x 32 x 32.
   */
  static async open(model: Model, queue: Queue): Promise<ShownModel> {
    const shown = new ShownModel(model, queue);
    const classifier = await queue.run(() => shown.#classifier("wasm"));
    const { channels, height, width } = classifier.imageSize;
    if ([channels, height, width].join() !== imageShape.join()) {
      await shown.release();
      throw new UserError(
        `${model.info.name} takes pictures of ${channels} x ${height} x ${width}, and this page only makes pictures of ${imageShape.join(" x ")}.`,
        { code: "model-unsupported" },
      );
    }
    await shown.#measure("wasm");
    return shown;
  }

  get devices(): Devices {
    return {
      chosen: this.#chosen,
      threads: threads(),
      threadsReason: threadsReason(),
      wasm: this.#reports.get("wasm"),
      webgpu: this.#reports.get("webgpu"),
    };
  }

  /**
   * Chooses a device, or with `auto` the faster one. Measures WebGPU unless wasm is chosen or WebGPU was
   * measured.
   */
  async choose(choice: DeviceChoice): Promise<void> {
    this.#choice = choice;
    if (choice !== "wasm" && !this.#reports.has("webgpu")) await this.#measure("webgpu");
    const time = (name: DeviceName) => {
      const report = this.#reports.get(name);
      return report && "milliseconds" in report ? report.milliseconds : Number.POSITIVE_INFINITY;
    };
    const limit = { auto: time("wasm"), webgpu: Number.POSITIVE_INFINITY, wasm: 0 }[this.#choice];
    this.#chosen = time("webgpu") < limit ? "webgpu" : "wasm";
  }

  /** Probabilities of raw pixels uint8 [count, 3, 32, 32]. */
  classify(images: Uint8Array): Promise<Answer> {
    return this.#queue.run(() => this.#classify(images));
  }

  async #classify(images: Uint8Array): Promise<Answer> {
    const start = performance.now();
    const classifier = await this.#classifier(this.#chosen);
    const logits = await classifier.logits(images);
    const probabilities = softmax(floatsOf(logits), at(logits.dims, 1));
    return { probabilities, device: this.#chosen, milliseconds: performance.now() - start };
  }

  /**
   * Probabilities of one picture with each row of alphas [rows, blocks]. Throws UserError where the branches
   * are merged.
   */
  shake(image: Uint8Array, alphas: Float32Array): Promise<Answer> {
    return this.#queue.run(() => this.#shake(image, alphas));
  }

  async #shake(image: Uint8Array, alphas: Float32Array): Promise<Answer> {
    const { info, shakeable } = this.model;
    const { blocks } = info;
    if (!shakeable || blocks === undefined)
      throw new UserError(`The branches of ${info.name} are merged.`, { code: "model-unsupported" });
    const session = await cached(this.#shakers, this.#chosen, async ({ ort, sessionOptions }) =>
      ort.InferenceSession.create(await shakeable(), sessionOptions),
    );
    const start = performance.now();
    const { Tensor } = (await openDevice(this.#chosen)).ort;
    const images = new Tensor("float32", Float32Array.from(image), [1, ...imageShape]);
    const rows: Float32Array[] = [];
    for (let first = 0; first < alphas.length; first += blocks) {
      const alpha = new Tensor("float32", alphas.slice(first, first + blocks), [blocks]);
      const { logits } = await session.run({ images, alpha });
      if (!logits) throw new Error("the network with an input alpha returned no logits");
      rows.push(softmax(floatsOf(logits), logits.size));
    }
    const probabilities = new Float32Array(rows.flatMap((row) => [...row]));
    return { probabilities, device: this.#chosen, milliseconds: performance.now() - start };
  }

  release(): Promise<void> {
    return this.#queue.run(async () => {
      const sessions = [...this.#classifiers.values(), ...this.#shakers.values()];
      this.#isReleased = true;
      this.#classifiers.clear();
      this.#shakers.clear();
      for (const session of sessions) await session.release();
    });
  }

  /**
   * Measures the median time of some runs on one picture, after one run for warm-up. Every run is a task of
   * the queue, so the calls of the user run between them.
   */
  async #measure(name: DeviceName): Promise<void> {
    const image = new Uint8Array(PIXELS);
    const run = () =>
      this.#queue.run(async () => {
        const classifier = await this.#classifier(name);
        const start = performance.now();
        await classifier.logits(image);
        return performance.now() - start;
      });
    try {
      await run();
      const times: number[] = [];
      const end = performance.now() + TIMED_MS;
      while (times.length < TIMED_RUNS && (times.length === 0 || performance.now() < end))
        times.push(await run());
      this.#reports.set(name, {
        milliseconds: at(
          times.sort((a, b) => a - b),
          times.length >> 1,
        ),
      });
    } catch (error) {
      if (name === "wasm") throw error;
      this.#reports.set(name, { reason: ortReason(error) });
    }
  }

  async #classifier(name: DeviceName): Promise<Classifier> {
    if (this.#isReleased)
      throw new UserError("Another model was opened meanwhile.", { code: "session-busy" });
    const { info, onnx } = this.model;
    return cached(this.#classifiers, name, (device) => openClassifier(onnx, device, info.name));
  }
}

async function cached<T>(
  sessions: Map<DeviceName, T>,
  name: DeviceName,
  open: (device: InferenceDevice) => Promise<T>,
): Promise<T> {
  const known = sessions.get(name);
  if (known) return known;
  const session = await open(await openDevice(name));
  sessions.set(name, session);
  return session;
}

/** The elements of a float32 tensor. Throws UserError for a tensor of another type. */
function floatsOf({ data, type }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new UserError(`The logits are ${type}, not float32.`, { code: "output-type" });
}
