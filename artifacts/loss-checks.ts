import { didYouMean, shown, UserError } from "../graph-builder/index.ts";
import { isObject, isText } from "./given-values.ts";
import { type LossName, lossNames } from "./loss-names.ts";
import type { BceWithLogits, CrossEntropy, ErrorLoss, Loss, WeightedLoss } from "./losses.ts";

const targeted = ["type", "input", "target", "reduction"] as const;
const ofErrors = targeted satisfies readonly (keyof ErrorLoss)[];

/** The settings of the named losses. */
const settings: { readonly [N in LossName]: readonly string[] } = {
  "cross-entropy": [
    ...targeted,
    "classWeights",
    "ignoreIndex",
    "labelSmoothing",
    "softLabels",
  ] satisfies readonly (keyof CrossEntropy)[],
  mse: ofErrors,
  l1: ofErrors,
  "bce-with-logits": [...targeted, "positiveWeights"] satisfies readonly (keyof BceWithLogits)[],
};

/** What a setting must be that has values of one kind. */
const kinds: readonly (readonly [string, string, (value: unknown) => boolean])[] = [
  ["input", "a name", isText],
  ["target", "a name", (value) => isText(value) && value !== ""],
  ["classWeights", "a list of numbers from 0", isWeights],
  ["positiveWeights", "a list of numbers from 0", isWeights],
  ["ignoreIndex", "a whole number", (value) => Number.isSafeInteger(value)],
  ["labelSmoothing", "a number from 0 to 1", (value) => isNumber(value) && value >= 0 && value <= 1],
  ["softLabels", "true or false", (value) => typeof value === "boolean"],
];

/**
 * Checks a loss by itself, for programs without types. Throws UserError for what is no loss, for one that has
 * no such name, and for settings that it does not have.
 */
export function expectLoss(loss: Loss): void {
  const given: unknown = loss;
  if (!Array.isArray(given)) {
    expectSingle(given);
  } else if (given.length === 0) {
    throw invalidLoss("A weighted sum needs at least one loss.");
  } else {
    for (const term of given) expectTerm(term);
  }
}

function expectTerm(term: unknown): void {
  if (!isObject(term) || !("loss" in term)) {
    throw invalidLoss(`A term of a weighted sum is { loss, weight }, not ${shown(term)}.`);
  }
  const known = ["loss", "weight"] satisfies readonly (keyof WeightedLoss)[];
  expectKnown("A term of a weighted sum", term, known);
  if (term.weight !== undefined) expectNumber("the weight of a loss", term.weight);
  expectSingle(term.loss);
}

function expectSingle(loss: unknown): void {
  if (typeof loss === "function") return;
  if (typeof loss === "string") {
    expectLossName(loss);
  } else if (isObject(loss) && "output" in loss) {
    expectKnown("A loss that is an output", loss, ["output"]);
    if (!isText(loss.output)) throw invalidLoss(`output must be a name, not ${shown(loss.output)}.`);
  } else if (isObject(loss)) {
    const type = expectLossName(loss.type);
    expectKnown(type, loss, settings[type]);
    for (const [name, wanted, isSo] of kinds) {
      const value = loss[name];
      if (value !== undefined && !isSo(value)) {
        throw invalidLoss(`${name} must be ${wanted}, not ${shown(value)}.`);
      }
    }
    const { reduction } = loss;
    if (reduction !== undefined && reduction !== "mean" && reduction !== "sum") {
      throw invalidLoss(`reduction must be mean or sum, not ${shown(reduction)}: a loss is one number.`);
    }
  } else {
    throw invalidLoss(`${shown(loss)} is not a loss: give ${lossNames.join(", ")}, an object or a function.`);
  }
}

/** The name itself. Throws UserError, with the nearest name, where no loss has it. */
export function expectLossName(type: unknown): LossName {
  const name = lossNames.find((each) => each === type);
  if (name) return name;
  if (type === undefined) {
    throw invalidLoss(`A loss with settings needs its type: ${lossNames.join(", ")}.`);
  }
  const hint = didYouMean(String(type), lossNames);
  throw invalidLoss(
    `${String(type)} is not a loss: give ${lossNames.join(", ")} or the output that is one.${hint}`,
  );
}

/** Throws UserError for a value that is no finite number. */
export function expectNumber(what: string, value: unknown): void {
  if (!Number.isFinite(value)) throw invalidLoss(`${what} must be a finite number, not ${shown(value)}.`);
}

/** The error of a loss that cannot be. */
export function invalidLoss(message: string): UserError {
  return new UserError(message, { code: "setting-invalid", details: { setting: "loss" } });
}

function expectKnown(what: string, given: object, known: readonly string[]): void {
  const other = Object.keys(given).find((name) => !known.includes(name));
  if (other === undefined) return;
  const hint = didYouMean(other, known) || ` It has ${known.join(", ")}.`;
  throw invalidLoss(`${what} has no setting ${other}.${hint}`);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isWeights(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((each) => isNumber(each) && each >= 0);
}
