import { type Augmentation, paperAugmentation } from "../../runtime/data/augmentation.ts";
import type { EarlySize } from "../../runtime/data/early-size.ts";
import type { Mixing } from "../../runtime/data/mixing.ts";
import type { AverageSettings } from "../../runtime/loop/averaging.ts";
import type { RunConfig } from "./run-config.ts";

/** What a run does to its training images. */
export function augmentationOf(
  config: Pick<RunConfig, "flip" | "translate" | "border" | "cutout">,
): Augmentation {
  return {
    flip: config.flip ?? paperAugmentation.flip,
    translate: config.translate ?? paperAugmentation.translate,
    border: config.border ?? paperAugmentation.border,
    cutout: config.cutout ?? paperAugmentation.cutout,
  };
}

/** How a run mixes its training images; undefined where it does not. */
export function mixingOf({
  mixup = 0,
  cutmix = 0,
  classes,
}: Pick<RunConfig, "mixup" | "cutmix" | "classes">): Mixing | undefined {
  return mixup === 0 && cutmix === 0 ? undefined : { mixup, cutmix, classes };
}

/** The other size of a run's first training images; undefined where there is none. */
export function earlySizeOf({
  earlySize: side,
  earlyShare = 0.5,
  epochs,
}: Pick<RunConfig, "earlySize" | "earlyShare" | "epochs">): EarlySize | undefined {
  return side === undefined ? undefined : { side, epochs: Math.ceil(earlyShare * epochs) };
}

/** How a run averages its weights; undefined where it does not. */
export function averageOf({
  average: kind,
  averageDecay: decay,
  averageEverySteps: everySteps,
}: Pick<RunConfig, "average" | "averageDecay" | "averageEverySteps">): AverageSettings | undefined {
  return kind && { kind, decay, everySteps };
}
