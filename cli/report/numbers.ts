import type { MeasuredPart } from "./facts.ts";

/** A share from 0 to 1 in percent; a dash where it is not a number. */
export function percent(share: number, digits = 1): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–";
}

/** A number with digits behind the point; a dash where it is not finite. */
export function fixed(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

/** The part of a data set as an adjective of images. */
export function nameOfPart(part: MeasuredPart): string {
  return part === "all" ? "measured" : part;
}

/** The 97.5 % quantile of the normal distribution. */
const Z = 1.959964;

/**
 * The interval that holds a share with 95 % certainty, where `right` of `of` independent trials succeeded
 * (Wilson 1927, the score interval), from 0 to 1.
 */
export function wilsonInterval(right: number, of: number): readonly [low: number, high: number] {
  const share = right / of;
  const scale = 1 + Z ** 2 / of;
  const centre = (share + Z ** 2 / (2 * of)) / scale;
  const reach = (Z / scale) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return [Math.max(0, centre - reach), Math.min(1, centre + reach)];
}
