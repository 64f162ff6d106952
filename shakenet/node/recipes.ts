import type { GivenRun } from "./run-config.ts";
import { conflictIn } from "./setting-conflicts.ts";

/** Named sets of settings: the paper's on CIFAR-10, and one for short runs on a CPU. */
export const recipeNames = ["paper", "fast"] as const;
export type RecipeName = (typeof recipeNames)[number];

const recipes: { readonly [N in RecipeName]: GivenRun } = {
  // xgastaldi/shake-shake README: 26 2x32d S-S-I of CIFAR-10
  paper: {
    depth: 26,
    width: 32,
    epochs: 1800,
    batchSize: 128,
    learningRate: 0.2,
    weightDecay: 1e-4,
    momentum: 0.9,
    optimizer: "sgd-nesterov",
    forward: "shake",
    backward: "shake",
    level: "image",
  },
  fast: {
    depth: 8,
    width: 32,
    stem: "whitening-pool",
    downsampling: "max-pool",
    activation: "gelu",
    flip: "alternating",
    translate: 2,
    border: "reflect",
    earlySize: 24,
    epochs: 15,
    batchSize: 512,
    learningRate: 0.06,
    schedule: "linear",
    warmUp: 0.2,
    finalRate: 0.02,
    weightDecay: 0.05,
    biasRate: 8,
    momentum: 0.85,
    sgdRate: 16,
    sgdDecay: 2.5e-4,
    average: "lookahead",
    labelSmoothing: 0.2,
    optimizer: "muon",
    forward: "even",
    backward: "even",
    evaluateEveryEpochs: 5,
  },
};

/**
 * The settings that were given, and behind them those of their recipe. A setting of the recipe is left out
 * where it needs or excludes one that was given, such as the rate of SGD beside Muon.
 */
export function withRecipe(given: GivenRun): GivenRun {
  if (given.recipe === undefined) return given;
  const settings: Record<string, unknown> = { ...recipes[given.recipe] };
  for (;;) {
    const conflict = conflictIn({ ...settings, ...given });
    if (!conflict || conflict.setting === "optimizer" || !(conflict.setting in settings)) break;
    if (conflict.setting in given) break;
    delete settings[conflict.setting];
  }
  return { ...settings, ...given };
}

/** The settings that a recipe decides. */
export function settingsOfRecipe(name: RecipeName): GivenRun {
  return recipes[name];
}
