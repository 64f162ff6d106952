import type { Device } from "../runtime/device/device.ts";
import { Classifier } from "../runtime/inference/classifier.ts";

/**
 * The value of the input `alpha` of a frozen network that has one: the mean of both branches, as in
 * evaluation.
 */
export const evenMixFill = { alpha: 0.5 } as const;

/**
 * Opens a frozen image classifier, a ShakeNet or another one; `what` names it in errors.
 * Throws UserError where ONNX Runtime refuses it or it does not take images.
 */
export function openClassifier(bytes: Uint8Array, device: Device, what: string): Promise<Classifier> {
  return Classifier.open(bytes, device, what, evenMixFill);
}
