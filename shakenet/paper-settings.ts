import { paperAugmentation } from "../runtime/data/augmentation.ts";

/**
 * paper: 3x3 convolution to 16 channels and batch normalisation. whitening-2 and whitening-3: constant
 * filters of 2x2 or 3x3 pixels, whose responses are uncorrelated and of variance 1 on the training images,
 * each with both signs, and a trained bias (Page 2019, "How to train your ResNet 8"; Jordan 2024, arXiv
 * 2404.00498).
 */
export const stems = ["paper", "whitening-2", "whitening-3"] as const;
export type Stem = (typeof stems)[number];

/** he: He's normal with fan-out; dirac: the first filters pass a channel on, the others are He's. */
export const branchInitializations = ["he", "dirac"] as const;
export type BranchInitialization = (typeof branchInitializations)[number];

/** The paper's values of the settings of a run that are not in its config.json where nobody gave them. */
export const paperSettings = {
  stem: "paper",
  stemStride: 1,
  initialization: "he",
  outputScale: 1,
  ...paperAugmentation,
  lastBatch: "smaller",
  schedule: "cosine",
  warmUp: 0,
  finalRate: 0,
  biasRate: 1,
  sgdRate: 1,
  labelSmoothing: 0,
  shakeSchedule: "constant",
  shakeRange: 0.5,
  tta: false,
  evaluateEveryEpochs: 1,
  precision: "float32",
} as const;
