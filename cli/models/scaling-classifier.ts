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

/**
 * Opens an exported classifier, which scales pictures of the size `from` to its own. Throws UserError as
 * `openClassifier` does.
 */
export async function openScalingClassifier(
  bytes: Uint8Array,
  device: Device,
  what: string,
  from: ImageSize,
  feeding: PictureFeeding = {},
): Promise<ScalingClassifier> {
  const classifier = await openClassifier(bytes, device, what, feeding);
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

/** How the user says that a model is fed. */
export function feedingFrom({
  pixels,
  imageSize,
}: {
  readonly pixels?: string | undefined;
  readonly imageSize?: number | undefined;
}): PictureFeeding {
  return {
    pixels,
    ...(imageSize === undefined ? {} : { size: { height: imageSize, width: imageSize } }),
  };
}
