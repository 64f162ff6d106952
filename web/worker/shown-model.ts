import type { InferenceSession, Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { pictureInput, pictureTensor } from "../../runtime/data/picture-input.ts";
import { pixelsOf } from "../../runtime/data/types.ts";
import type { InferenceDevice } from "../../runtime/device/inference-device.ts";
import { ortReason } from "../../runtime/device/ort-errors.ts";
import type { Classifier } from "../../runtime/inference/classifier.ts";
import { openClassifier } from "../../shakenet/classifier.ts";
import type { Answer, DeviceChoice, DeviceName, DeviceReport, Devices, PictureForm } from "../calls/model.ts";
import { openDevice, thisMachine } from "./devices.ts";
import type { Model } from "./models.ts";
import type { Queue } from "./queue.ts";
import { softmax } from "./softmax.ts";
import { threadsOn, threadsReasonOn } from "./threads.ts";

/** The numbers of channels that a picture can have: grey, colours, and colours with alpha. */
const CHANNELS = [1, 3, 4];
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
  #input: PictureForm | undefined;

  private constructor(model: Model, queue: Queue) {
    this.model = model;
    this.#queue = queue;
  }

  /**
   * Opens a model on wasm and measures it. Throws UserError where ONNX Runtime refuses the model or does not
   * run it, and where it takes no pictures of grey or of colours.
   */
  static async open(model: Model, queue: Queue): Promise<ShownModel> {
    const shown = new ShownModel(model, queue);
    try {
      const { imageSize: size } = await queue.run(() => shown.#classifier("wasm"));
      if (!CHANNELS.includes(size.channels))
        throw new UserError(
          `${model.info.name} takes pictures of ${size.channels} channels, and a picture of this page has 1, 3 or 4.`,
          { code: "model-unsupported" },
        );
      shown.#input = { size, background: model.background };
      await shown.#measure("wasm");
      return shown;
    } catch (error) {
      // the first error is the cause
      await shown.release().catch(() => undefined);
      throw error;
    }
  }

  /** How it is given pictures. */
  get input(): PictureForm {
    if (this.#input) return this.#input;
    throw new Error("the model is not open yet");
  }

  get devices(): Devices {
    return {
      chosen: this.#chosen,
      threads: threadsOn(thisMachine()),
      threadsReason: threadsReasonOn(thisMachine()),
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

  /** Probabilities of raw pixels uint8 [count, channels, height, width]. */
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
    const device = await openDevice(this.#chosen);
    const { Tensor } = device.ort;
    const { name, tensor } = imagesOf(session, image, device, info.name);
    const rows: Float32Array[] = [];
    for (let first = 0; first < alphas.length; first += blocks) {
      const alpha = new Tensor("float32", alphas.slice(first, first + blocks), [blocks]);
      const { logits, probabilities } = await session.run({ [name]: tensor, alpha });
      const scores = probabilities ?? logits;
      if (!scores) throw new Error("the network with an input alpha returned no logits");
      const row = floatsOf(scores).subarray(0, at(scores.dims, 1));
      rows.push(probabilities ? row : softmax(row, row.length));
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
    const image = new Uint8Array(pixelsOf(this.input.size));
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
    const { info, onnx, feeding } = this.model;
    return cached(this.#classifiers, name, (device) => openClassifier(onnx, device, info.name, feeding));
  }
}

/** The input of pictures of a network with an input alpha, filled with one picture. */
function imagesOf(session: InferenceSession, image: Uint8Array, device: InferenceDevice, what: string) {
  const declared = session.inputMetadata.find(({ name }) => name !== "alpha");
  if (!declared?.isTensor)
    throw new UserError(`${what} has no input of pictures beside alpha.`, { code: "model-unsupported" });
  const input = pictureInput(declared, {}, what);
  return { name: input.name, tensor: pictureTensor(input, image, input.batch ?? 1, device) };
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
