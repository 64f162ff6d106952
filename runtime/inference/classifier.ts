import type { InferenceSession, Tensor } from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import {
  type PictureFeeding,
  type PictureInput,
  pictureInput,
  pictureTensor,
} from "../data/picture-input.ts";
import { type ImageSize, pixelsOf } from "../data/types.ts";
import type { InferenceDevice } from "../device/inference-device.ts";
import { ortReason } from "../device/ort-errors.ts";
import { CallGuard } from "../session/call-guard.ts";
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
  readonly #device: InferenceDevice;
  readonly #input: PictureInput;
  readonly #scores: string;
  readonly #fills: Readonly<Record<string, Tensor>>;
  readonly #what: string;
  readonly #guard = new CallGuard();
  #hasDistributions = false;

  private constructor(
    session: InferenceSession,
    device: InferenceDevice,
    input: PictureInput,
    what: string,
    { fills = {}, scores = outputName(session) }: ClassifierOptions,
  ) {
    this.#what = what;
    this.#session = session;
    this.#device = device;
    this.#input = input;
    this.#scores = scores;
    this.#fills = filledInputs(session, device, fills);
  }

  /**
   * Opens a model. Errors call it `what`. Throws UserError where ONNX Runtime refuses it or it does not take
   * images, or declares more memory than LARGEST_TENSOR.
   */
  static async open(
    bytes: Uint8Array,
    device: InferenceDevice,
    what: string,
    options: ClassifierOptions = {},
  ): Promise<Classifier> {
    const session = await openModel(bytes, device, what);
    try {
      expectPassable([...session.inputNames, ...session.outputNames], what);
      const input = imageInput(session, what, options);
      expectWithinLimits(session, input, what);
      return new Classifier(session, device, input, what, options);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** The size of the images that the model takes. */
  get imageSize(): ImageSize {
    return this.#input.size;
  }

  /**
   * Whether the model returns probabilities instead of logits: by the name of its output, or since each row
   * of a run was a distribution.
   */
  get isProbabilities(): boolean {
    return this.#scores === "probabilities" || this.#hasDistributions;
  }

  /**
   * Runs the model on raw pixels 0..255 [images, channels, height, width]. Returns the logits, float [images,
   * classes]. For a model that returns probabilities these are their logarithms, which differ from the logits
   * by a constant. Calls that overlap wait for each other. Throws UserError for no images, for a part of one,
   * and where ONNX Runtime fails.
   */
  async logits(images: Uint8Array): Promise<Tensor> {
    return this.#guard.enqueue("logits", () => this.#logits(images));
  }

  async #logits(images: Uint8Array): Promise<Tensor> {
    const count = this.#count(images);
    const batch = this.#input.batch ?? count;
    const rows: Float32Array[] = [];
    for (let first = 0; first < count; first += batch) {
      const results = await this.#run(this.#part(images, first, first + batch), [this.#scores]);
      const scores = scoresIn(results, this.#scores);
      const classes = scores.length / batch;
      for (let i = 0; i < Math.min(batch, count - first); i++)
        rows.push(scores.subarray(i * classes, (i + 1) * classes));
    }
    this.#hasDistributions = rows.every(isDistribution);
    const classes = at(rows, 0).length;
    const data = new Float32Array(count * classes);
    for (const [i, row] of rows.entries()) data.set(row, i * classes);
    const logits = this.isProbabilities ? data.map((p) => Math.log(Math.max(p, smallest))) : data;
    return new this.#device.ort.Tensor("float32", logits, [count, classes]);
  }

  /**
   * Every output of one run. A model of a fixed batch takes at most that many images; black ones fill the
   * rest. Throws UserError as `logits` does.
   */
  async run(images: Uint8Array): Promise<InferenceSession.ReturnType> {
    return this.#guard.enqueue("run", () => this.#run(images));
  }

  async #run(images: Uint8Array, fetches?: readonly string[]): Promise<InferenceSession.ReturnType> {
    const { name } = this.#input;
    const batch = this.#input.batch ?? this.#count(images);
    const pixels = pictureTensor(this.#input, images, batch, this.#device);
    const feeds = { ...this.#fills, [name]: pixels };
    try {
      return await (fetches ? this.#session.run(feeds, fetches) : this.#session.run(feeds));
    } catch (error) {
      const reason = ortReason(error);
      throw new UserError(`ONNX Runtime could not run ${this.#what}: ${reason}.`, {
        code: "onnxruntime-failed",
        details: { model: this.#what, reason },
        cause: error,
      });
    }
  }

  /** Frees the session after the calls under way have ended. Throws UserError where it was freed before. */
  async release(): Promise<void> {
    await this.#guard.close();
    await this.#session.release();
  }

  #count(images: Uint8Array): number {
    const { size, batch } = this.#input;
    const count = images.length / pixelsOf(size);
    if (Number.isInteger(count) && count > 0) return count;
    const { channels, height, width } = size;
    throw new UserError(
      `${this.#what} takes pictures of ${channels} x ${height} x ${width} values, and was given ${images.length} values.`,
      { code: "input-shape", details: { size, batch, values: images.length } },
    );
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

/** How far from 1 the sum of probabilities may be that were computed in float16. */
const SUM_ERROR = 1e-2;

/**
 * Whether the numbers of the classes are probabilities. Logits that sum to 1 with none below 0 are none of a
 * network.
 */
function isDistribution(row: Float32Array): boolean {
  const sum = row.reduce((total, value) => (value >= 0 ? total + value : Number.NaN), 0);
  return row.length > 1 && Math.abs(sum - 1) < SUM_ERROR;
}

/** The smallest normal float32, in place of a probability that was rounded to zero. */
const smallest = 2 ** -126;

async function openModel(
  bytes: Uint8Array,
  device: InferenceDevice,
  what: string,
): Promise<InferenceSession> {
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

/** The largest tensor that a model may declare, in bytes: 1 GiB. */
const LARGEST_TENSOR = 2 ** 30;

/**
 * Throws UserError where the pictures of a run, or an output as it is declared, are larger than
 * LARGEST_TENSOR. A dimension that is not declared counts as 1.
 */
function expectWithinLimits({ outputMetadata }: InferenceSession, input: PictureInput, what: string): void {
  const { name, size, batch = 1, type } = input;
  expectSmall(what, name, batch * pixelsOf(size) * (type === "uint8" ? 1 : 4));
  for (const output of outputMetadata) {
    if (!output.isTensor) continue;
    const values = output.shape.reduce<number>(
      (product, dim) => product * (typeof dim === "number" && dim > 0 ? dim : 1),
      1,
    );
    expectSmall(what, output.name, 4 * values);
  }
}

function expectSmall(what: string, tensor: string, bytes: number): void {
  if (bytes <= LARGEST_TENSOR) return;
  throw new UserError(
    `${what} declares ${tensor} with ${(bytes / 2 ** 30).toFixed(1)} GiB, and the limit is ${LARGEST_TENSOR / 2 ** 30} GiB.`,
    { code: "model-unsupported", details: { model: what, tensor, bytes, limit: LARGEST_TENSOR } },
  );
}

/** The inputs that are filled with a number. */
function filledInputs(
  { inputMetadata }: InferenceSession,
  { ort: { Tensor } }: InferenceDevice,
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
