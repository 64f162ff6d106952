import type { InferenceSession, Tensor } from "onnxruntime-common";
import { UserError } from "../../graph-builder/errors.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import {
  type PictureFeeding,
  type PictureInput,
  pictureInput,
  pictureTensor,
} from "../data/picture-input.ts";
import { type ImageSize, pixelsOf } from "../data/types.ts";
import type { Device } from "../device/device.ts";
import { ortReason } from "../device/ort-errors.ts";
import { expectPassable } from "../session/refusals.ts";

/**
 * Numbers by the names of inputs beside the images. A number fills its input. Names that a model lacks are
 * ignored.
 */
export type InputFills = Readonly<Record<string, number>>;

/** How a classifier is opened. */
export interface ClassifierOptions extends PictureFeeding {
  /** The inputs that these name must be float and of a known shape. */
  readonly fills?: InputFills | undefined;
}

/**
 * A frozen image classifier, opened on a device. It may be of any pixel layout, batch size and form of
 * output.
 */
export class Classifier {
  readonly #session: InferenceSession;
  readonly #device: Device;
  readonly #input: PictureInput;
  readonly #scores: string;
  readonly #fills: Readonly<Record<string, Tensor>>;

  private constructor(
    session: InferenceSession,
    device: Device,
    input: PictureInput,
    { fills = {}, scores = outputName(session) }: ClassifierOptions,
  ) {
    this.#session = session;
    this.#device = device;
    this.#input = input;
    this.#scores = scores;
    this.#fills = filledInputs(session, device, fills);
  }

  /**
   * Opens a model. Errors call it `what`. Throws UserError where ONNX Runtime refuses it or it does not take
   * images.
   */
  static async open(
    bytes: Uint8Array,
    device: Device,
    what: string,
    options: ClassifierOptions = {},
  ): Promise<Classifier> {
    const session = await openModel(bytes, device, what);
    try {
      expectPassable([...session.inputNames, ...session.outputNames], what);
      return new Classifier(session, device, imageInput(session, what, options), options);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** The size of the images that the model takes. */
  get imageSize(): ImageSize {
    return this.#input.size;
  }

  /** Whether the model returns probabilities instead of logits. */
  get isProbabilities(): boolean {
    return this.#scores === "probabilities";
  }

  /**
   * Runs the model on raw pixels 0..255 [images, channels, height, width]. Returns the logits, float [images,
   * classes]. For a model that returns probabilities these are their logarithms, which differ from the logits
   * by a constant.
   */
  async logits(images: Uint8Array): Promise<Tensor> {
    const count = this.#count(images);
    const batch = this.#input.batch ?? count;
    const rows: Float32Array[] = [];
    for (let first = 0; first < count; first += batch) {
      const results = await this.run(this.#part(images, first, first + batch));
      const scores = scoresIn(results, this.#scores);
      const classes = scores.length / batch;
      for (let i = 0; i < Math.min(batch, count - first); i++)
        rows.push(scores.subarray(i * classes, (i + 1) * classes));
    }
    const classes = rows[0]?.length ?? 0;
    const data = new Float32Array(count * classes);
    for (const [i, row] of rows.entries()) data.set(row, i * classes);
    const logits = this.isProbabilities ? data.map((p) => Math.log(Math.max(p, smallest))) : data;
    return new this.#device.ort.Tensor("float32", logits, [count, classes]);
  }

  /**
   * Every output of one run. A model of a fixed batch takes at most so many images; black ones fill the rest.
   */
  async run(images: Uint8Array): Promise<InferenceSession.ReturnType> {
    const { name } = this.#input;
    const batch = this.#input.batch ?? this.#count(images);
    const pixels = pictureTensor(this.#input, images, batch, this.#device);
    return this.#session.run({ ...this.#fills, [name]: pixels });
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  #count(images: Uint8Array): number {
    return images.length / pixelsOf(this.#input.size);
  }

  #part(images: Uint8Array, first: number, last: number): Uint8Array {
    const pixels = images.length / this.#count(images);
    return images.subarray(first * pixels, last * pixels);
  }
}

/** The output with a number for each class. Throws UserError where it is another tensor. */
function scoresIn(results: InferenceSession.ReturnType, output: string): Float32Array {
  const { type, dims = [], data } = results[output] ?? {};
  if (type === "float32" && dims.length === 2) return data as Float32Array;
  throw new UserError(`The output ${output} is ${type} [${dims.join(", ")}], not float32 [batch, classes].`, {
    code: "output-type",
  });
}

/** The smallest normal float32, in place of a probability that was rounded to zero. */
const smallest = 2 ** -126;

async function openModel(bytes: Uint8Array, device: Device, what: string): Promise<InferenceSession> {
  try {
    return await device.ort.InferenceSession.create(bytes, device.sessionOptions);
  } catch (error) {
    throw new UserError(`${what} cannot be opened by ONNX Runtime on ${device.name}: ${ortReason(error)}.`, {
      code: "device-refused",
      cause: error,
    });
  }
}

function outputName({ outputNames }: InferenceSession): string {
  return outputNames.find((name) => name === "logits") ?? outputNames[0] ?? "";
}

/** The inputs that are filled with a number. */
function filledInputs(
  { inputMetadata }: InferenceSession,
  { ort: { Tensor } }: Device,
  fills: InputFills,
): Record<string, Tensor> {
  const filled = inputMetadata.flatMap((input): [string, Tensor][] => {
    const number = ownEntry(fills, input.name);
    if (number === undefined || !input.isTensor) return [];
    const dims = input.shape.map(Number);
    const data = new Float32Array(dims.reduce((size, dim) => size * dim, 1)).fill(number);
    return [[input.name, new Tensor("float32", data, dims)]];
  });
  return Object.fromEntries(filled);
}

/** The input of images. Throws UserError where there is none, and where another input is not filled. */
function imageInput(
  { inputMetadata, inputNames }: InferenceSession,
  what: string,
  options: ClassifierOptions,
): PictureInput {
  const { fills = {} } = options;
  const [images, ...others] = inputMetadata.filter(({ name }) => !Object.hasOwn(fills, name));
  if (!images || others.length > 0) {
    throw new UserError(`${what} must have one input of images, not ${inputNames.join(", ")}.`, {
      code: "model-unsupported",
    });
  }
  const { name } = images;
  const [type, shape] = images.isTensor ? [images.type, images.shape] : ["sequence", []];
  return pictureInput({ name, type, shape }, options, what);
}
