/** Which `--pixels` the models of well-known libraries want. */
export const pixelAdvice =
  "imagenet for torchvision's models and most of timm's, 0.5/0.5 for Keras's MobileNet and Inception, raw for models that scale pixels themselves, such as Keras's EfficientNet";

/** The first steps of a run, in which a wrong feeding shows. */
const FIRST_STEPS = 10;
/** How many times the loss of a guess a first loss may be. */
const FACTOR = 4;

/**
 * A sentence about how pictures are fed, where the loss of one of the first steps is not finite or far above
 * ln(classes), the cross-entropy of a guess; else undefined.
 */
export function feedingHint(
  { step, loss }: { readonly step: number; readonly loss: number },
  { classes, pixels }: { readonly classes: number; readonly pixels: string },
): string | undefined {
  const guess = Math.log(classes);
  if (step > FIRST_STEPS || loss <= FACTOR * guess) return undefined;
  const found = Number.isFinite(loss) ? loss.toPrecision(4) : String(loss);
  return `The loss of step ${step} is ${found}, and that of a guess among ${classes} classes is ${guess.toFixed(2)}: pictures are fed as ${pixels}, and the model may want other --pixels (${pixelAdvice}), or a lower --learning-rate.`;
}
