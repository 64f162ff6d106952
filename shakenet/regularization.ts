import { UserError } from "../graph-builder/errors.ts";
import type { NetworkSettings } from "./network.ts";
import { defaultAlpha, lastSurvival, type Regularization } from "./paper-settings.ts";
import type { ShakeSettings } from "./shake-noise.ts";

/** The settings of a network that its noise depends on. */
export type NoiseSettings = Pick<NetworkSettings, "network" | "alpha" | "regularization" | "survival">;

/** The noise in a network's blocks. */
export function regularizationOf({ network = "shakenet", regularization }: NoiseSettings): Regularization {
  return regularization ?? (network === "shakenet" ? "shake-shake" : "shake-drop");
}

/** The noise of a training in words, for example `shake-even-image`, or `shake-drop-image`. */
export function noiseName(settings: NoiseSettings & ShakeSettings): string {
  const regularization = regularizationOf(settings);
  const { forward, backward, level } = settings;
  return {
    "shake-shake": `${forward}-${backward}-${level}`,
    "shake-drop": `shake-drop-${level}`,
    none: "none",
  }[regularization];
}

/** A setting of a network's noise that does not go with its kind, and what is wrong with it. */
export interface NoiseConflict {
  readonly setting: keyof NoiseSettings;
  readonly sentence: string;
}

/** The first setting of a network that does not go with the kind of network, or with its noise. */
export function noiseConflict(settings: NoiseSettings): NoiseConflict | undefined {
  const { network = "shakenet", alpha, survival } = settings;
  const regularization = regularizationOf(settings);
  const hasTwoBranches = network === "shakenet";
  if (hasTwoBranches && regularization !== "shake-shake") {
    const instead =
      regularization === "none"
        ? "for branches without noise give --forward even --backward even"
        : "give --network preact-resnet or pyramidnet";
    const sentence = `--regularization ${regularization} is for networks with one branch a block, and a ShakeNet has two: ${instead}.`;
    return { setting: "regularization", sentence };
  }
  if (!hasTwoBranches && regularization === "shake-shake") {
    const sentence = `--regularization shake-shake mixes two branches, and a block of ${network} has one: give shake-drop or none.`;
    return { setting: "regularization", sentence };
  }
  if (alpha !== undefined && network !== "pyramidnet")
    return { setting: "alpha", sentence: "--alpha needs --network pyramidnet." };
  if (survival !== undefined && regularization !== "shake-drop")
    return { setting: "survival", sentence: "--survival needs --regularization shake-drop." };
  return undefined;
}

/** Throws UserError where the noise of a network does not go with its kind. */
export function expectRegularization(settings: NoiseSettings): void {
  const conflict = noiseConflict(settings);
  if (!conflict) return;
  throw new UserError(conflict.sentence, {
    code: "setting-conflict",
    details: { setting: conflict.setting },
  });
}

/**
 * The settings that decide the noise of a network, and the widening of a PyramidNet, with every default
 * filled in; none for a ShakeNet, whose noise is decided by its scheme of forward, backward and level.
 */
export function completeNoise(settings: NoiseSettings): Partial<NoiseSettings> {
  const { network = "shakenet", alpha = defaultAlpha, survival = lastSurvival } = settings;
  if (network === "shakenet") return {};
  const regularization = regularizationOf(settings);
  return {
    regularization,
    ...(network === "pyramidnet" ? { alpha } : {}),
    ...(regularization === "shake-drop" ? { survival } : {}),
  };
}
