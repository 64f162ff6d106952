import {
  type Loss,
  type LossName,
  lossNames,
  type SingleLoss,
  type WeightedLoss,
} from "../../../artifacts/index.ts";
import { didYouMean, UserError } from "../../../graph-builder/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { BuildGraphGiven } from "./command.ts";

const OUTPUT = "output";

/** The losses that have each option. */
const optionsOf = {
  classWeights: ["cross-entropy"],
  ignoreIndex: ["cross-entropy"],
  labelSmoothing: ["cross-entropy"],
  softLabels: ["cross-entropy"],
  positiveWeights: ["bce-with-logits"],
  reduction: lossNames,
  lossInput: lossNames,
} as const satisfies Partial<Record<keyof BuildGraphGiven, readonly LossName[]>>;

/** A term of --loss: `0.4*mse:aux` is mse of the value aux with the weight 0.4. */
interface Term {
  readonly text: string;
  /** A loss's name, or `output`. */
  readonly name: string;
  readonly weight: number;
  /** What the loss reads. */
  readonly value: string | undefined;
}

/**
 * The loss that the flags ask for, of a model with these outputs: one, or a weighted sum. Throws UserError
 * where there is none, for an unknown one, and for an option that none of the losses has.
 */
export function lossOf(given: BuildGraphGiven, outputs: readonly string[]): Loss {
  const terms = (given.loss ?? []).map((text) => termOf(text, outputs));
  const [only, ...others] = terms;
  if (only === undefined) {
    throw new UserError(
      `--from needs --loss: ${lossNames.join(", ")}, or ${OUTPUT}:NAME. The model's outputs are ${outputs.join(", ")}.`,
      { code: "setting-missing", details: { setting: "loss", outputs } },
    );
  }
  expectOptions(given, terms);
  if (others.length === 0 && only.weight === 1) return singleLoss(only, given);
  return terms.map((term): WeightedLoss => ({ loss: singleLoss(term, given), weight: term.weight }));
}

function termOf(text: string, outputs: readonly string[]): Term {
  const [, factor, loss = text] = /^([^*:]*)\*(.*)$/.exec(text) ?? [];
  const weight = factor === undefined ? 1 : Number(factor.trim() || Number.NaN);
  if (!Number.isFinite(weight)) {
    throw new UserError(`--loss ${text} has no number in front of *: write 0.4*mse, for instance.`, {
      code: "setting-invalid",
      details: { setting: "loss", value: text },
    });
  }
  // the names of values may have colons
  const [name = "", ...rest] = loss.trim().split(":");
  const value = rest.length > 0 ? rest.join(":") : undefined;
  const isKnown = name === OUTPUT ? value !== undefined : lossNames.some((each) => each === name);
  if (isKnown && value !== "") return { text, name, weight, value };
  const choices = [...lossNames, ...outputs.map((output) => `${OUTPUT}:${output}`)];
  const hint = outputs.includes(name) ? ` Did you mean ${OUTPUT}:${name}?` : didYouMean(name, choices);
  throw new UserError(
    `--loss must be one of ${lossNames.join(", ")}, or ${OUTPUT}:NAME, not ${text}.${hint}`,
    { code: "setting-invalid", details: { setting: "loss", value: text } },
  );
}

function singleLoss({ name, value }: Term, given: BuildGraphGiven): SingleLoss {
  const { classWeights, ignoreIndex, labelSmoothing, softLabels, positiveWeights, reduction } = given;
  const type = lossNames.find((each) => each === name);
  const common = { reduction, ...(value === undefined ? {} : { input: value }) };
  switch (type) {
    case undefined:
      return { output: value ?? "" };
    case "cross-entropy":
      return { type, classWeights, ignoreIndex, labelSmoothing, softLabels, ...common };
    case "bce-with-logits":
      return { type, positiveWeights, ...common };
    default:
      return { type, ...common };
  }
}

function expectOptions(given: BuildGraphGiven, terms: readonly Term[]): void {
  const all = terms.map(({ text }) => text).join(" and ");
  for (const [option, losses] of Object.entries(optionsOf)) {
    const isGiven = given[option as keyof typeof optionsOf] !== undefined;
    if (!isGiven || terms.some((term) => losses.some((name) => name === term.name))) continue;
    throw new UserError(`--${kebabCase(option)} is an option of ${losses.join(", ")}, not of ${all}.`, {
      code: "setting-conflict",
      details: { setting: option, loss: all },
    });
  }
}
