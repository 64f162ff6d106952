import { lastSurvival } from "./paper-settings.ts";
import { drawnPerBlock, type ShakeLevel } from "./shake-noise.ts";

/** The random numbers of ShakeDrop, float32 [blocks, batch] in row-major order. */
export interface ShakeDropCoefficients {
  /** 1 where a branch survives as it is, else 0. */
  readonly b: Float32Array<ArrayBuffer>;
  /** The factor of a branch that does not survive, in the forward pass, from U[-1, 1). */
  readonly alpha: Float32Array<ArrayBuffer>;
  /** The factor of that branch's gradient, from U[0, 1). */
  readonly beta: Float32Array<ArrayBuffer>;
}

/** What ShakeDrop's random numbers depend on. */
export interface ShakeDropOptions {
  readonly seed: number;
  /** The number of residual blocks. */
  readonly blocks: number;
  /** The number of images in this batch, at most 65,536. */
  readonly batch: number;
  /** Whether every image has numbers of its own, or all images of a batch share those of a block. */
  readonly level: ShakeLevel;
  /** The survival probability of the last block; 0.5 where left out. */
  readonly survival?: number | undefined;
}

/**
 * The survival probability of a block, counted from 0: it falls along a straight line over the depth, p_l = 1
 * - (l / L) (1 - p_L) for block l of L, counted from 1 (Huang et al. 2016, arXiv 1603.09382, equation 4).
 */
export function survivalOf(block: number, blocks: number, last = lastSurvival): number {
  return 1 - ((block + 1) / blocks) * (1 - last);
}

/**
 * E[b + alpha - b alpha], by which a block's branch is multiplied where nothing is random. It equals the
 * survival probability p, because the mean of alpha is 0: p + (1 - p) E[alpha].
 */
export function expectedFactor(block: number, blocks: number, last?: number): number {
  return survivalOf(block, blocks, last);
}

/**
 * The random numbers of a training step, counted from 0 (Yamada et al. 2018, section 3.3). A number is a
 * function of (seed, its name, step, block, image), so a smaller batch has the first columns of a larger one.
 */
export function shakeDropCoefficients(options: ShakeDropOptions, step: number): ShakeDropCoefficients {
  const { blocks, batch, survival } = options;
  const survives = (u: number, i: number) =>
    u < survivalOf(Math.floor(i / batch), blocks, survival) ? 1 : 0;
  return {
    b: drawnPerBlock("b", options, step).map(survives),
    alpha: drawnPerBlock("alpha", options, step).map((u) => 2 * u - 1),
    beta: drawnPerBlock("beta", options, step),
  };
}
