import { z } from "zod";
import { backwardRuleNames } from "../backward-rules.ts";
import {
  activations,
  branchInitializations,
  downsamplings,
  networks,
  regularizations,
  stems,
} from "../paper-settings.ts";
import { shakeScheduleNames } from "../shake-schedule.ts";

const count = z.int().min(1);

/** The settings of a run's network: type, default, choices and help. */
export const networkSettings = {
  network: z
    .enum(networks)
    .optional()
    .describe("kind of network: ShakeNet, or one with one branch a block [default: shakenet]"),
  depth: z.int().min(8).max(2000).default(8).describe("number of layers, 6n + 2: 8, 14, 20, 26, ..."),
  width: count
    .default(16)
    .describe(
      "channels of the first stage, and 2 and 4 times as many in the later ones; with pyramidnet, channels of the stem",
    ),
  alpha: count
    .optional()
    .describe("channels that the last block of a PyramidNet has more than its stem [default: 48]"),
  classes: count.optional().describe("number of classes [default: that of the data set]"),
  stem: z.enum(stems).optional().describe("first layer: the paper's, or a whitening one [default: paper]"),
  stemStride: count.max(4).optional().describe("stride of a whitening stem [default: 1]"),
  downsampling: z
    .enum(downsamplings)
    .optional()
    .describe("how the second and the third stage halve the maps [default: stride]"),
  activation: z
    .enum(activations)
    .optional()
    .describe("the nonlinearity: ReLU, or GELU by x sigmoid(1.702 x) [default: relu]"),
  initialization: z
    .enum(branchInitializations)
    .optional()
    .describe("initial filters of the branches: He's, or identities where possible [default: he]"),
  outputScale: z.number().positive().optional().describe("factor of the logits [default: 1]"),
} as const;

/** The settings of the noise in a network's blocks. */
export const noiseSettings = {
  regularization: z
    .enum(regularizations)
    .optional()
    .describe(
      "noise in the blocks: shake-shake for ShakeNet, shake-drop or none for the other networks [default: shake-shake for ShakeNet, else shake-drop]",
    ),
  survival: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      "with shake-drop: probability that the last block's branch stays as it is; 1 at the input, along a straight line between [default: 0.5]",
    ),
  forward: z
    .enum(["shake", "even"])
    .default("shake")
    .describe("weights of the two branches in the forward pass: random, or one half each"),
  backward: z
    .enum(["shake", "even", "keep", ...backwardRuleNames])
    .default("shake")
    .describe(
      "weights in the backward pass: random, one half each, those of the forward pass, or by a rule of the paper's table 4",
    ),
  level: z.enum(["image", "batch"]).default("image").describe("draw random weights per image or per batch"),
  shakeSchedule: z
    .enum(shakeScheduleNames)
    .optional()
    .describe("how strong the random weights are over the run [default: constant]"),
  shakeRange: z
    .number()
    .min(0)
    .max(0.5)
    .optional()
    .describe("random weights are drawn from 0.5 - RANGE to 0.5 + RANGE [default: 0.5]"),
} as const;
