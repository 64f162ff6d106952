import * as z from "zod/mini";
import type { Checkpoint } from "../artifacts/checkpoint.ts";
import { parseJson } from "../artifacts/json.ts";
import { type OptimizerName, optimizers, ruleOf, type Target, targets } from "../artifacts/settings.ts";
import type { OptimizerRule, ParameterGroups } from "../graph-builder/index.ts";
import type { NetworkSettings } from "./network.ts";
import {
  activations,
  branchInitializations,
  downsamplings,
  networks,
  regularizations,
  stemBias,
  stems,
} from "./paper-settings.ts";

export { type OptimizerName, optimizers, type Target, targets } from "../artifacts/settings.ts";

/** The settings that determine the four files. */
export interface ArtifactSettings extends NetworkSettings {
  readonly target: Target;
  readonly optimizer: OptimizerName;
  /**
   * Puts the optimizer's update into the training model, which then takes `learning_rate`; there is no
   * optimizer model.
   */
  readonly fused?: boolean | undefined;
  readonly momentum: number;
  /**
   * With Muon: a factor of the learning rate of the parameters that SGD updates, which are the last layer and
   * all vectors; 1 where left out.
   */
  readonly sgdRate?: number | undefined;
  /** With Muon: the coupled weight decay of these parameters; `weightDecay / sgdRate` where left out. */
  readonly sgdDecay?: number | undefined;
  /** The weight decay of all parameters, including batch normalisation's, as in the author's code. */
  readonly weightDecay: number;
  /** The weight decay of batch normalisation's scales and biases; that of all parameters where left out. */
  readonly normDecay?: number | undefined;
  /**
   * A factor of the learning rate of batch normalisation's biases, and of a whitening stem's (Page 2019, "How
   * to train your ResNet 8"); 1 where left out. Their weight decay is divided by it, so that a step shrinks
   * them as it would without the factor.
   */
  readonly biasRate?: number | undefined;
  /** The largest L2 norm of all gradients together; no limit where left out. */
  readonly clipNorm?: number | undefined;
  /**
   * The share of each training label that is spread evenly over all classes (Szegedy et al. 2016, arXiv
   * 1512.00567); 0 where left out.
   */
  readonly labelSmoothing?: number | undefined;
  /**
   * Leaves the height and the width of the training model's images free; they are the network's where left
   * out. The evaluation model always takes images of the network's size.
   */
  readonly anySize?: boolean | undefined;
  /**
   * The training model takes labels float [batch, classes], the shares of all classes; the number of a class
   * where left out.
   */
  readonly softLabels?: boolean | undefined;
  /** The seed of the initial weights. */
  readonly seed: number;
}

const count = z.int().check(z.minimum(1));
const colours = z.array(z.number());

type Fields = { readonly [N in keyof ArtifactSettings]-?: z.ZodMiniType<ArtifactSettings[N]> };

/** The settings as a manifest and a checkpoint keep them. */
export const artifactSettingsSchema = z.looseObject({
  network: z.optional(z.enum(networks)),
  depth: count,
  width: count,
  alpha: z.optional(count),
  regularization: z.optional(z.enum(regularizations)),
  survival: z.optional(z.number()),
  classes: count,
  mean: colours,
  std: colours,
  stem: z.optional(z.enum(stems)),
  stemStride: z.optional(count),
  downsampling: z.optional(z.enum(downsamplings)),
  activation: z.optional(z.enum(activations)),
  initialization: z.optional(z.enum(branchInitializations)),
  outputScale: z.optional(z.number()),
  imageSize: z.optional(z.int()),
  anySize: z.optional(z.boolean()),
  softLabels: z.optional(z.boolean()),
  target: z.enum(targets),
  optimizer: z.enum(optimizers),
  fused: z.optional(z.boolean()),
  momentum: z.number(),
  sgdRate: z.optional(z.number()),
  sgdDecay: z.optional(z.number()),
  weightDecay: z.number(),
  normDecay: z.optional(z.number()),
  biasRate: z.optional(z.number()),
  clipNorm: z.optional(z.number()),
  labelSmoothing: z.optional(z.number()),
  seed: z.int(),
} satisfies Fields);

/**
 * The settings of a checkpoint of ours; undefined for one of another program. Throws UserError as parseJson.
 */
export function settingsIn(
  properties: Checkpoint["properties"],
  where: string,
): ArtifactSettings | undefined {
  const text = properties.get("settings");
  if (text === undefined) return undefined;
  const source = { where: `${where}, property settings,`, code: "checkpoint-damaged" } as const;
  return parseJson(artifactSettingsSchema, String(text), source);
}

/** The optimizer that settings ask for; AdamW with PyTorch's constants. */
export function optimizerRule(settings: ArtifactSettings): OptimizerRule {
  const { clipNorm } = settings;
  const groups = parameterGroups(settings);
  return {
    ...updateRule(settings),
    ...(clipNorm === undefined ? {} : { maxNorm: clipNorm }),
    ...(Object.keys(groups).length > 0 ? { groups } : {}),
  };
}

function updateRule(settings: ArtifactSettings): OptimizerRule {
  const { optimizer, momentum, weightDecay, sgdRate = 1, sgdDecay } = settings;
  const rule = ruleOf(optimizer);
  if (rule.kind === "sgd-nesterov" || rule.kind === "sgd-momentum") return { ...rule, momentum, weightDecay };
  if (rule.kind === "muon") {
    return { ...rule, momentum, weightDecay, sgdRate, ...(sgdDecay === undefined ? {} : { sgdDecay }) };
  }
  return rule.kind === "adamw" ? { ...rule, weightDecay } : rule;
}

function parameterGroups(settings: ArtifactSettings): ParameterGroups {
  const { optimizer, weightDecay, sgdRate = 1, sgdDecay, biasRate = 1 } = settings;
  // a group's decay is divided by sgdRate
  const { normDecay = sgdDecay === undefined ? weightDecay : sgdDecay * sgdRate } = settings;
  // plain SGD has no weight decay here
  const decay = (value: number) => (optimizer === "sgd" ? {} : { weightDecay: value });
  const stem = stemBias(settings.stem);
  const bias = { learningRate: biasRate, ...decay(normDecay / biasRate) };
  return {
    // Muon is for hidden layers
    ...(optimizer === "muon" ? { "fc.weight": { newtonSchulzSteps: 0 } } : {}),
    ...(normDecay === weightDecay ? {} : { "*.bn*.weight": decay(normDecay) }),
    ...(normDecay === weightDecay && biasRate === 1 ? {} : { "*.bn*.bias": bias }),
    ...(biasRate === 1 || stem === undefined ? {} : { [stem]: bias }),
  };
}
