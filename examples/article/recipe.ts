import type { Schedule } from "shakenet/runtime";
import type { NetworkChoices } from "./network.ts";

/** How a network is trained, and which. */
export interface Recipe extends NetworkChoices {
  /** The highest learning rate. */
  readonly learningRate: number;
  /** The cosine falls to 0 once; else it falls and climbs twice, and ends at its peak. */
  readonly fallsToZero: boolean;
  /** Pictures are cropped after padding by 4 pixels, and mirrored; else mirrored alone. */
  readonly crops: boolean;
  readonly nesterov: boolean;
  /** Every picture has an alpha and a beta of its own; else a batch shares them. */
  readonly perImage: boolean;
}

/** As the article publishes it: 26 2x32d, 200 epochs, 89.43 % on CIFAR-10. */
export const article: Recipe = {
  normalizesShortcut: false,
  shiftsShortcut: false,
  initializesAsAuthor: false,
  learningRate: 0.02,
  fallsToZero: false,
  crops: false,
  nesterov: false,
  perImage: false,
};

/** What turns the article's recipe into the paper's, one after the other. */
export const corrections: readonly (readonly [what: string, change: Partial<Recipe>])[] = [
  ["a cosine that ends at 0", { fallsToZero: true }],
  ["random crops", { crops: true }],
  ["batch normalisation in the shortcut", { normalizesShortcut: true }],
  ["a shift by one pixel", { shiftsShortcut: true }],
  ["no biases, He's initialization", { initializesAsAuthor: true }],
  ["a learning rate of 0.2", { learningRate: 0.2 }],
  ["Nesterov's momentum", { nesterov: true }],
  ["alpha and beta of every picture", { perImage: true }],
];

/** The article's recipe with the first corrections. */
export function corrected(count: number): Recipe {
  return Object.assign({ ...article }, ...corrections.slice(0, count).map(([, change]) => change));
}

/**
 * The learning rate. The article's is PyTorch's CosineAnnealingLR over a quarter of the epochs, down to a
 * twentieth of the peak: it falls, climbs, falls and climbs again.
 */
export function scheduleOf({ learningRate, fallsToZero }: Recipe): Schedule {
  const end = fallsToZero ? 0 : learningRate / 20;
  const halves = fallsToZero ? 1 : 4;
  return (step, steps) =>
    end + 0.5 * (learningRate - end) * (1 + Math.cos((halves * Math.PI * step) / steps));
}
