import { UserError } from "../../../graph-builder/errors.ts";
import { pixelsOf } from "../../../runtime/data/types.ts";
import { floatData } from "../../../runtime/device/tensors.ts";
import { type Classifier, probabilitiesOf } from "../../../runtime/index.ts";
import { readPicture } from "../../../runtime/node/index.ts";
import type { NamedPicture } from "./named-pictures.ts";

/** A class with its probability. */
export interface Candidate {
  readonly class: string;
  readonly probability: number;
}

/** A picture with every class, the likeliest first. */
export interface Prediction {
  readonly picture: string;
  readonly candidates: readonly Candidate[];
}

/** How pictures are classified. */
export interface ClassifyOptions {
  readonly classNames: readonly string[];
  /** The colour behind transparent pictures; white where left out. */
  readonly background?: readonly number[] | undefined;
  readonly onProgress: (done: number, of: number) => void;
  /** Called with a sentence for a picture that was found in a folder and cannot be read. */
  readonly onBroken: (sentence: string) => void;
}

/** The most pictures of one call of the model. */
const TOGETHER = 32;

/**
 * Classifies pictures in their order. Throws UserError for a picture that the user named and that cannot be
 * read.
 */
export async function classify(
  classifier: Classifier,
  pictures: readonly NamedPicture[],
  { classNames, background, onProgress, onBroken }: ClassifyOptions,
): Promise<Prediction[]> {
  const found: Prediction[] = [];
  const size = classifier.imageSize;
  for (let first = 0; first < pictures.length; first += TOGETHER) {
    const part = pictures.slice(first, first + TOGETHER);
    const read = await Promise.all(
      part.map((picture) => readOrTell(picture, () => readPicture(picture.path, size, background), onBroken)),
    );
    const readable = part.flatMap(({ path }, i) => {
      const pixels = read[i];
      return pixels ? [{ path, pixels }] : [];
    });
    if (readable.length > 0) {
      const images = new Uint8Array(readable.length * pixelsOf(size));
      for (const [i, { pixels }] of readable.entries()) images.set(pixels, i * pixels.length);
      const logits = floatData(await classifier.logits(images));
      const classes = logits.length / readable.length;
      for (const [i, { path }] of readable.entries()) {
        const own = logits.subarray(i * classes, (i + 1) * classes);
        found.push({ picture: path, candidates: ranked(own, classNames) });
      }
    }
    onProgress(Math.min(first + TOGETHER, pictures.length), pictures.length);
  }
  return found;
}

async function readOrTell(
  { isFound }: NamedPicture,
  read: () => Promise<Uint8Array>,
  onBroken: (sentence: string) => void,
): Promise<Uint8Array | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isFound || !(error instanceof UserError) || error.code !== "picture-unreadable") throw error;
    onBroken(error.message);
    return undefined;
  }
}

/** Every class with its probability, the likeliest first. */
function ranked(logits: Float32Array, classNames: readonly string[]): Candidate[] {
  return Array.from(probabilitiesOf(logits), (probability, i) => ({
    class: classNames[i] ?? `class ${i}`,
    probability,
  })).sort((a, b) => b.probability - a.probability);
}
