import { UserError } from "../../graph-builder/errors.ts";
import {
  type Classifier,
  type Device,
  type ImageSize,
  inSizeOf,
  type PictureFeeding,
} from "../../runtime/index.ts";
import { scalePictures } from "../../runtime/node/index.ts";
import { openClassifier } from "../../shakenet/index.ts";

/** A classifier of pictures of any size. */
export type ScalingClassifier = Pick<Classifier, "logits" | "release" | "isProbabilities">;

/** How the user says that a model is fed. */
export interface GivenFeeding {
  readonly pixels?: string | undefined;
  readonly imageSize?: number | undefined;
}

/**
 * Opens a classifier that is fed as the user says. Throws UserError as `openClassifier` does, and for
 * --image-size where the model has another size of its own.
 */
export async function openFed(
  bytes: Uint8Array,
  device: Device,
  what: string,
  given: GivenFeeding,
): Promise<Classifier> {
  const classifier = await openClassifier(bytes, device, what, feedingFrom(given));
  try {
    expectOwnSize(classifier.imageSize, given.imageSize);
    return classifier;
  } catch (error) {
    await classifier.release();
    throw error;
  }
}

/**
 * Opens an exported classifier, which scales pictures of the size `from` to its own. Throws UserError as
 * `openFed` does.
 */
export async function openScalingClassifier(
  bytes: Uint8Array,
  device: Device,
  what: string,
  from: ImageSize,
  given: GivenFeeding = {},
): Promise<ScalingClassifier> {
  const classifier = await openFed(bytes, device, what, given);
  return {
    // a run may show it
    get isProbabilities() {
      return classifier.isProbabilities;
    },
    logits: async (images) =>
      classifier.logits(await inSizeOf(classifier.imageSize, images, from, scalePictures)),
    release: () => classifier.release(),
  };
}

/** Throws UserError for --image-size where a model has another size of its own. */
export function expectOwnSize({ height, width }: ImageSize, side: number | undefined): void {
  if (side === undefined || (height === side && width === side)) return;
  throw new UserError(`The model takes pictures of ${width} x ${height}: leave --image-size out.`, {
    code: "setting-conflict",
    details: { setting: "imageSize", height, width },
  });
}

function feedingFrom({ pixels, imageSize }: GivenFeeding): PictureFeeding {
  return {
    pixels,
    ...(imageSize === undefined ? {} : { size: { height: imageSize, width: imageSize } }),
  };
}
