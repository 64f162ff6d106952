import { decodeMetadata } from "../graph-builder/onnx/metadata.ts";
import { feedingIn, type PictureFeeding } from "../runtime/data/picture-input.ts";
import type { InferenceDevice } from "../runtime/device/inference-device.ts";
import { Classifier } from "../runtime/inference/classifier.ts";

/**
 * The value of the input `alpha` of a frozen network that has one: the mean of both branches, as in
 * evaluation.
 */
export const evenMixFill = { alpha: 0.5 } as const;

/**
 * Opens a frozen image classifier, a ShakeNet or another one; `what` names it in errors. It is fed as
 * `feeding` says, and where that says nothing as its metadata do. Throws UserError where ONNX Runtime refuses
 * it or it does not take images.
 */
export async function openClassifier(
  bytes: Uint8Array,
  device: InferenceDevice,
  what: string,
  feeding: PictureFeeding = {},
): Promise<Classifier> {
  const known = feedingIn(decodeMetadata(bytes, what));
  const given = Object.fromEntries(Object.entries(feeding).filter(([, value]) => value !== undefined));
  return Classifier.open(bytes, device, what, { fills: evenMixFill, ...known, ...given });
}
