import { paperAugmentation } from "../runtime/data/augmentation.ts";

/** The paper's values of the settings of a run that are not in its config.json where nobody gave them. */
export const paperSettings = {
  stem: "paper",
  stemStride: 1,
  initialization: "he",
  outputScale: 1,
  ...paperAugmentation,
  schedule: "cosine",
  warmUp: 0,
  finalRate: 0,
  biasRate: 1,
  labelSmoothing: 0,
  shakeSchedule: "constant",
  shakeRange: 0.5,
  tta: false,
  evaluateEveryEpochs: 1,
} as const;
