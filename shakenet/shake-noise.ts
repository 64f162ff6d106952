import { at } from "../graph-builder/at.ts";
import { RandomStream } from "../graph-builder/random.ts";
import { type BackwardRule, backwardRules } from "./backward-rules.ts";

/** How the two branches are mixed in the forward pass: at random, or half and half. */
export type ForwardMode = "shake" | "even";

/**
 * How the gradient is shared between the branches: at random, half and half, by the forward pass's
 * coefficients, or by a rule that makes beta of alpha.
 */
export type BackwardMode = "shake" | "even" | "keep" | BackwardRule;

/** Whether every image of a batch has coefficients of its own, or all share those of the block. */
export type ShakeLevel = "image" | "batch";

/** A scheme of the paper: S-S-I is shake, shake, image. */
export interface ShakeSettings {
  readonly forward: ForwardMode;
  readonly backward: BackwardMode;
  readonly level: ShakeLevel;
}

/** A scheme, the seed, and the size of the coefficients. */
export interface ShakeOptions extends ShakeSettings {
  readonly seed: number;
  /** The number of residual blocks. */
  readonly blocks: number;
  /** The number of images in this batch, at most 65,536. */
  readonly batch: number;
  /**
   * How far a random coefficient is from 1/2 at most, as a share of 1/2; 1, the paper's, where left out. 0
   * makes all of them 1/2.
   */
  readonly strength?: number | undefined;
}

/**
 * The weights of branch 1, float32 [blocks, batch] in row-major order. Branch 2 has 1 - alpha and 1 - beta.
 */
export interface ShakeCoefficients {
  readonly alpha: Float32Array<ArrayBuffer>;
  readonly beta: Float32Array<ArrayBuffer>;
}

const ROW = 65_536;

/**
 * The coefficients of a training step, counted from 0 (Gastaldi 2017, section 2.2): shake draws from U[0, 1),
 * even is 0.5, keep makes beta the same array as alpha, and m1 to m5 are the rules of its table 4. A strength
 * s below 1 draws from U[0.5 - s / 2, 0.5 + s / 2). A coefficient is a function of (seed, alpha or beta,
 * step, block, image), so a smaller batch has the first columns of a larger one.
 */
export function shakeCoefficients(options: ShakeOptions, step: number): ShakeCoefficients {
  const alpha = options.forward === "shake" ? drawn("alpha", options, step) : even(options);
  switch (options.backward) {
    case "keep":
      return { alpha, beta: alpha };
    case "shake":
      return { alpha, beta: drawn("beta", options, step) };
    case "even":
      return { alpha, beta: even(options) };
    default:
      return { alpha, beta: ruled(backwardRules[options.backward], options, step) };
  }
}

/** Applies a rule to coefficients of full strength; a smaller strength then narrows beta as it does alpha. */
function ruled(
  rule: (alpha: number, u: number) => number,
  options: ShakeOptions,
  step: number,
): Float32Array<ArrayBuffer> {
  const full = { ...options, strength: 1 };
  const alpha = options.forward === "shake" ? drawn("alpha", full, step) : even(full);
  const beta = drawn("beta", full, step).map((u, i) => rule(at(alpha, i), u));
  return narrowed(beta, options);
}

function narrowed(
  coefficients: Float32Array<ArrayBuffer>,
  { strength = 1 }: ShakeOptions,
): Float32Array<ArrayBuffer> {
  if (strength !== 1)
    for (const [i, u] of coefficients.entries()) coefficients[i] = 0.5 + strength * (u - 0.5);
  return coefficients;
}

function even({ blocks, batch }: ShakeOptions): Float32Array<ArrayBuffer> {
  return new Float32Array(blocks * batch).fill(0.5);
}

function drawn(name: string, options: ShakeOptions, step: number): Float32Array<ArrayBuffer> {
  return narrowed(drawnPerBlock(name, options, step), options);
}

/** Numbers from U[0, 1) of a step, [blocks, batch]: one for each image and block, or one for each block. */
export function drawnPerBlock(
  name: string,
  { level, seed, blocks, batch }: Pick<ShakeOptions, "level" | "seed" | "blocks" | "batch">,
  step: number,
): Float32Array<ArrayBuffer> {
  const stream = new RandomStream(seed, name);
  const coefficients = new Float32Array(blocks * batch);
  for (let block = 0; block < blocks; block++) {
    const row = coefficients.subarray(block * batch, (block + 1) * batch);
    const index = (step * blocks + block) * ROW;
    if (level === "image") stream.fillUniform(row, index);
    else row.fill(stream.uniform(index));
  }
  return coefficients;
}
