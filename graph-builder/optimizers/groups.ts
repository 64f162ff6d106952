import { didYouMean, UserError } from "../errors.ts";
import { globExpression } from "../glob.ts";
import { shown } from "../visible.ts";
import { isOrthogonalized } from "./muon.ts";
import type { UpdateRule } from "./rules.ts";

/** What the parameters of a group have in place of the rule's own settings. */
export interface GroupSettings {
  /** A factor of the learning rate. */
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly momentum?: number;
  readonly alpha?: number;
  readonly beta?: number;
  readonly epsilon?: number;
  /** Muon's iterations; 0 leaves the parameters to SGD. */
  readonly newtonSchulzSteps?: number;
}

/**
 * Settings of some parameters, by globs of their names: `{ "*.bias": { weightDecay: 0 } }`. Where a parameter
 * matches several globs, the later ones win.
 */
export type ParameterGroups = Readonly<Record<string, GroupSettings>>;

/** One parameter's rule, and the factor of its learning rate. */
export interface ParameterRule {
  readonly rule: UpdateRule;
  readonly rateFactor: number;
}

/**
 * The rule of a parameter of some rank in its groups. Where Muon does not update it, that is SGD with
 * Nesterov momentum, at Muon's rate times `sgdRate` and with the weight decay `sgdDecay`, or that of its
 * group over `sgdRate`.
 */
export function ruleOfParameter(
  { groups = {}, ...rule }: UpdateRule & { readonly groups?: ParameterGroups | undefined },
  name: string,
  rank: number,
): ParameterRule {
  const own = Object.entries(groups).filter(([glob]) => globExpression(glob).test(name));
  const settings: GroupSettings = Object.fromEntries(own.flatMap(([, group]) => Object.entries(group)));
  const { learningRate = 1, ...changed } = settings;
  const changedRule: UpdateRule = { ...rule, ...changed };
  if (changedRule.kind !== "muon" || isOrthogonalized(changedRule, rank)) {
    return { rule: changedRule, rateFactor: learningRate };
  }
  const { momentum, weightDecay, sgdRate, sgdDecay } = changedRule;
  const isOfGroup = settings.weightDecay !== undefined || sgdDecay === undefined;
  const decay = isOfGroup ? weightDecay / sgdRate : sgdDecay;
  const sgd = { kind: "sgd-nesterov", momentum, weightDecay: decay } as const;
  return { rule: sgd, rateFactor: learningRate * sgdRate };
}

/** The settings of each rule that a group may change, beside the learning rate. */
const changeable: { readonly [K in UpdateRule["kind"]]: readonly (keyof GroupSettings)[] } = {
  sgd: ["weightDecay"],
  "sgd-momentum": ["momentum", "weightDecay"],
  "sgd-nesterov": ["momentum", "weightDecay"],
  adamw: ["alpha", "beta", "epsilon", "weightDecay"],
  muon: ["momentum", "weightDecay", "newtonSchulzSteps"],
};

/**
 * Checks the groups of an optimizer of the named parameters. Throws UserError for a glob that matches no
 * parameter (with the nearest name), for a setting that the rule does not have, and for one that is no
 * number.
 */
export function expectGroups(
  kind: UpdateRule["kind"],
  groups: ParameterGroups,
  names: readonly string[],
): void {
  const known = ["learningRate", ...changeable[kind]];
  expectObject("groups", groups, '{ "*.bias": { weightDecay: 0 } }');
  for (const [glob, settings] of Object.entries(groups)) {
    const expression = globExpression(glob);
    if (!names.some((name) => expression.test(name))) {
      const hint = didYouMean(glob, names) || ` There are ${names.slice(0, 8).join(", ")}.`;
      throw refused(glob, `The group ${glob} matches no trained parameter.${hint}`);
    }
    expectObject(`The group ${glob}`, settings, "{ weightDecay: 0 }");
    for (const [setting, value] of Object.entries(settings)) {
      if (!known.includes(setting)) {
        const hint = didYouMean(setting, known) || ` It has ${known.join(", ")}.`;
        throw refused(glob, `${kind} has no setting ${setting} for the group ${glob}.${hint}`);
      }
      if (!(typeof value === "number" && Number.isFinite(value) && value >= 0)) {
        throw refused(
          glob,
          `${setting} of the group ${glob} is ${shown(value)}, and must be a number from 0.`,
        );
      }
      if (setting === "newtonSchulzSteps" && !Number.isInteger(value)) {
        throw refused(glob, `${setting} of the group ${glob} is ${value}, and must be a whole number.`);
      }
    }
  }
}

function expectObject(what: string, given: unknown, example: string): void {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return;
  throw refused(what, `${what} must be an object such as ${example}, not ${shown(given)}.`);
}

function refused(group: string, message: string): UserError {
  return new UserError(message, { code: "setting-invalid", details: { group } });
}
