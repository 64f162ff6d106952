/** How the strength of the noise can change over a run. */
export const shakeScheduleNames = ["constant", "growing", "shrinking", "early", "late"] as const;

/** How strong the noise of the coefficients is over a run. */
export interface ShakeScheduleSettings {
  /**
   * constant: the same in every step; growing: from 0 to the range along a straight line; shrinking: from the
   * range to 0; early: the range in the first half of the steps, then none; late: none, then the range in the
   * second half. Constant where left out.
   */
  readonly shakeSchedule?: (typeof shakeScheduleNames)[number] | undefined;
  /**
   * How far a coefficient is from 0.5 at most: it is drawn from [0.5 - range, 0.5 + range). 0.5, the paper's,
   * where left out.
   */
  readonly shakeRange?: number | undefined;
}

/** The strength of the noise, from 0 to 1, in a step counted from 0 of a run of `steps` steps. */
export function shakeStrength(
  { shakeSchedule = "constant", shakeRange = 0.5 }: ShakeScheduleSettings,
  step: number,
  steps: number,
): number {
  const progress = step / Math.max(1, steps - 1);
  const isFirstHalf = 2 * step < steps;
  const share = {
    constant: 1,
    growing: progress,
    shrinking: 1 - progress,
    early: isFirstHalf ? 1 : 0,
    late: isFirstHalf ? 0 : 1,
  }[shakeSchedule];
  return 2 * shakeRange * share;
}
