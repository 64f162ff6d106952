import { paperAugmentation } from "../runtime/data/augmentation.ts";

/**
 * shakenet: Shake-Shake's network (Gastaldi 2017). preact-resnet: a ResNet with pre-activation (He et al.
 * 2016, arXiv 1603.05027). pyramidnet: an additive PyramidNet (Han et al. 2017, arXiv 1610.02915). Each
 * branch of a block has two 3x3 convolutions.
 */
export const networks = ["shakenet", "preact-resnet", "pyramidnet"] as const;
export type NetworkKind = (typeof networks)[number];

/**
 * shake-shake mixes the two branches of a ShakeNet's block at random (Gastaldi 2017); shake-drop scales the
 * one branch of another network's block at random (Yamada et al. 2018, arXiv 1802.02375).
 */
export const regularizations = ["shake-shake", "shake-drop", "none"] as const;
export type Regularization = (typeof regularizations)[number];

/** The widening factor of a PyramidNet where nothing says another one: that of the paper's smallest. */
export const defaultAlpha = 48;

/** The survival probability of a network's last block, of the paper (Yamada et al. 2018, section 4). */
export const lastSurvival = 0.5;

/**
 * paper: 3x3 convolution to 16 channels and batch normalisation. whitening-2 and whitening-3: constant
 * filters of 2x2 or 3x3 pixels, whose responses are uncorrelated and of variance 1 on the training images,
 * each with both signs, and a trained bias (Page 2019, "How to train your ResNet 8"; Jordan 2024, arXiv
 * 2404.00498). whitening-pool: those of 2x2 without a bias, the activation, a 3x3 convolution to the width,
 * 2x2 max pooling and batch normalisation, much as the last of these networks begins.
 */
export const stems = ["paper", "whitening-2", "whitening-3", "whitening-pool"] as const;
export type Stem = (typeof stems)[number];

/** The name of a stem's trained bias; undefined for a stem without one. */
export function stemBias(stem: Stem = "paper"): string | undefined {
  return stem === "whitening-2" || stem === "whitening-3" ? "stem.conv.bias" : undefined;
}

/**
 * How the second and the third stage halve the maps: by convolutions with a stride of 2, as the paper's, or
 * by 2x2 max pooling in front of the stage.
 */
export const downsamplings = ["stride", "max-pool"] as const;
export type Downsampling = (typeof downsamplings)[number];

/**
 * The nonlinearity of all blocks: relu, as the paper's, or gelu by x sigmoid(1.702 x), which comes close to
 * GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415).
 */
export const activations = ["relu", "gelu"] as const;
export type Activation = (typeof activations)[number];

/** he: He's normal with fan-out; dirac: the first filters pass a channel on, the others are He's. */
export const branchInitializations = ["he", "dirac"] as const;
export type BranchInitialization = (typeof branchInitializations)[number];

/** The paper's values of the settings of a run that are not in its config.json where nobody gave them. */
export const paperSettings = {
  network: "shakenet",
  regularization: "shake-shake",
  stem: "paper",
  stemStride: 1,
  downsampling: "stride",
  activation: "relu",
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
