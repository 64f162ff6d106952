import { type OptimizerName, ruleOf } from "../../../artifacts/index.ts";
import { listed } from "../../../artifacts/listed.ts";
import { type GroupSettings, type OptimizerRule, UserError } from "../../../graph-builder/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { BuildGraphGiven } from "./command.ts";

const momentumRules = ["sgd-momentum", "sgd-nesterov"] as const;

/** The optimizers that have each setting. */
const settingsOf: Readonly<Record<string, readonly OptimizerName[]>> = {
  momentum: [...momentumRules, "muon"],
  sgdRate: ["muon"],
  sgdDecay: ["muon"],
  betas: ["adamw"],
  epsilon: ["adamw"],
};

/**
 * The update rule that the flags ask for; AdamW where they name none. What they do not say is PyTorch's.
 * Throws UserError for a setting that the optimizer does not have, and for a group that cannot be read.
 */
export function ruleFrom(given: BuildGraphGiven): OptimizerRule {
  const { optimizer = "adamw", clipNorm, clipValue, groups, weightDecay, momentum, betas, epsilon } = given;
  const { sgdRate, sgdDecay } = given;
  for (const [setting, optimizers] of Object.entries(settingsOf)) {
    if (given[setting as keyof BuildGraphGiven] === undefined || optimizers.includes(optimizer)) continue;
    throw new UserError(
      `--${kebabCase(setting)} is a setting of ${listed(optimizers)}, not of ${optimizer}.`,
      { code: "setting-conflict", details: { setting, optimizer } },
    );
  }
  const [alpha, beta] = betas ?? [];
  const changed = Object.entries({ weightDecay, momentum, sgdRate, sgdDecay, alpha, beta, epsilon });
  return {
    ...ruleOf(optimizer),
    ...Object.fromEntries(changed.filter(([, value]) => value !== undefined)),
    ...(clipNorm === undefined ? {} : { maxNorm: clipNorm }),
    ...(clipValue === undefined ? {} : { clipValue }),
    ...(groups ? { groups: Object.fromEntries(groups.map(parseGroup)) } : {}),
  };
}

/** The rule and its constants, as the flags call them. */
export function describeRule(rule: OptimizerRule, learningRate: number | string): string {
  const { kind, groups: _, maxNorm, clipValue, ...constants } = rule;
  const { correctBias: __, mode: ___, ...shown } = { correctBias: true, mode: 0, ...constants };
  const clipping = { clipNorm: maxNorm, clipValue };
  return [kind, ...described({ learningRate, ...shown, ...clipping })].join(", ");
}

/** The groups of a rule, as they are typed; undefined where there are none. */
export function describeGroups({ groups }: OptimizerRule): string | undefined {
  const texts = Object.entries(groups ?? {}).map(([glob, own]) => `${glob}: ${described(own).join(", ")}`);
  return texts.length > 0 ? texts.join("; ") : undefined;
}

function described(settings: object): string[] {
  const known = Object.entries(settings).filter(([, value]) => value !== undefined);
  return known.map(([name, value]) => `${kebabCase(name).replaceAll("-", " ")} ${value}`);
}

/**
 * A group as it is typed: a glob, a colon, and settings such as `weight-decay=0,learning-rate=0.1`. Names of
 * parameters may have colons, so the last one counts.
 */
function parseGroup(text: string): [string, GroupSettings] {
  const colon = text.lastIndexOf(":");
  const entries = text
    .slice(colon + 1)
    .split(",")
    .map((entry) => entry.split("="));
  const settings = entries.map(([name = "", value = ""]): [string, number] => [
    camelCase(name.trim()),
    value.trim() === "" ? Number.NaN : Number(value),
  ]);
  const isRead = entries.every((entry) => entry.length === 2 && entry[0]?.trim());
  if (colon > 0 && isRead && settings.every(([, value]) => Number.isFinite(value))) {
    return [text.slice(0, colon).trim(), Object.fromEntries(settings)];
  }
  throw new UserError(
    `--groups must be a glob and settings, such as "*.bias:weight-decay=0,learning-rate=2", not ${text}.`,
    { code: "setting-invalid", details: { setting: "groups", value: text } },
  );
}

/** `weight-decay` as `weightDecay`. */
function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
