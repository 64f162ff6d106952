import { UserError } from "../errors.ts";
import { shown } from "../visible.ts";
import type { UpdateRule } from "./rules.ts";

/** The constants of a rule that must be below 1: they divide by 1 minus their powers. */
const belowOne = ["alpha", "beta"];

/**
 * Throws UserError for a constant of a rule that is no number from 0, for AdamW's alpha and beta from 1 on,
 * for Muon's iterations that are no whole number, and for an `sgdRate` of 0, which divides.
 */
export function expectConstants(rule: UpdateRule): void {
  const { kind, ...constants } = rule;
  for (const [name, value] of Object.entries(constants)) {
    if (value === undefined || ["correctBias", "groups", "maxNorm", "clipValue"].includes(name)) continue;
    const range = rangeOf(name, value);
    if (range === undefined) continue;
    throw new UserError(`${name} of ${kind} is ${shown(value)}, and must be ${range}.`, {
      code: "setting-invalid",
      details: { setting: name, value },
    });
  }
}

/** What a constant must be; undefined where it is so. */
function rangeOf(name: string, value: unknown): string | undefined {
  const isNumber = typeof value === "number" && Number.isFinite(value) && value >= 0;
  if (name === "mode") return value === 0 || value === 1 ? undefined : "0 or 1";
  if (name === "sgdRate") return isNumber && value > 0 ? undefined : "a number above 0";
  if (belowOne.includes(name)) return isNumber && value < 1 ? undefined : "a number from 0 and below 1";
  if (name === "newtonSchulzSteps") {
    return isNumber && Number.isInteger(value) ? undefined : "a whole number from 0";
  }
  return isNumber ? undefined : "a number from 0";
}
