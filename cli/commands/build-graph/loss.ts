import { type Loss, type LossName, lossNames } from "../../../artifacts/index.ts";
import { didYouMean, UserError } from "../../../graph-builder/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { BuildGraphGiven } from "./command.ts";

const OUTPUT = "output:";

/** The losses that have each option. */
const optionsOf = {
  classWeights: ["cross-entropy"],
  ignoreIndex: ["cross-entropy"],
  labelSmoothing: ["cross-entropy"],
  positiveWeights: ["bce-with-logits"],
  reduction: lossNames,
  lossInput: lossNames,
} as const satisfies Partial<Record<keyof BuildGraphGiven, readonly LossName[]>>;

/**
 * The loss that the flags ask for, of a model with these outputs. Throws UserError where there is none, for
 * an unknown one, and for an option that the loss does not have.
 */
export function lossOf(given: BuildGraphGiven, outputs: readonly string[]): Loss {
  const { loss, classWeights, ignoreIndex, labelSmoothing, positiveWeights, reduction } = given;
  if (loss === undefined) {
    throw new UserError(
      `--from needs --loss: ${lossNames.join(", ")}, or ${OUTPUT}NAME. The model's outputs are ${outputs.join(", ")}.`,
      { code: "setting-missing", details: { setting: "loss", outputs } },
    );
  }
  expectOptions(given, loss);
  if (loss.startsWith(OUTPUT)) return { output: loss.slice(OUTPUT.length) };
  const type = lossNames.find((name) => name === loss);
  if (type === undefined) {
    const choices = [...lossNames, ...outputs.map((name) => `${OUTPUT}${name}`)];
    const hint = outputs.includes(loss) ? ` Did you mean ${OUTPUT}${loss}?` : didYouMean(loss, choices);
    throw new UserError(
      `--loss must be one of ${lossNames.join(", ")}, or ${OUTPUT}NAME, not ${loss}.${hint}`,
      { code: "setting-invalid", details: { setting: "loss", value: loss } },
    );
  }
  switch (type) {
    case "cross-entropy":
      return { type, classWeights, ignoreIndex, labelSmoothing, reduction };
    case "bce-with-logits":
      return { type, positiveWeights, reduction };
    default:
      return { type, reduction };
  }
}

function expectOptions(given: BuildGraphGiven, loss: string): void {
  for (const [option, losses] of Object.entries(optionsOf)) {
    const isGiven = given[option as keyof typeof optionsOf] !== undefined;
    const fits = losses.some((name) => name === loss) || !isKnown(loss);
    if (!isGiven || fits) continue;
    throw new UserError(`--${kebabCase(option)} is an option of ${losses.join(", ")}, not of ${loss}.`, {
      code: "setting-conflict",
      details: { setting: option, loss },
    });
  }
}

function isKnown(loss: string): boolean {
  return loss.startsWith(OUTPUT) || lossNames.some((name) => name === loss);
}
