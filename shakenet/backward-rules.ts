/** The rules of Gastaldi 2017, table 4, which make beta of alpha. */
export const backwardRuleNames = ["m1", "m2", "m3", "m4", "m5"] as const;
export type BackwardRule = (typeof backwardRuleNames)[number];

/**
 * The rules of Gastaldi 2017, table 4: beta from alpha and u, both from U[0, 1). The distance of beta from
 * alpha grows from m2 and m3 over m4 and m1 to m5.
 * - m1 is the other branch's weight, 1 - alpha.
 * - m2 is farther from 1/2 than alpha, on the same side.
 * - m3 lies between alpha and 1/2.
 * - m4 lies between 1/2 and 1 - alpha.
 * - m5 is farther from 1/2 than 1 - alpha, on its side.
 */
export const backwardRules: { readonly [R in BackwardRule]: (alpha: number, u: number) => number } = {
  m1: (alpha) => 1 - alpha,
  m2: (alpha, u) => (alpha < 0.5 ? u * alpha : u * (1 - alpha) + alpha),
  m3: (alpha, u) => (alpha < 0.5 ? u * (0.5 - alpha) + alpha : u * (alpha - 0.5) + 0.5),
  m4: (alpha, u) => (alpha < 0.5 ? u * (0.5 - alpha) + 0.5 : u * (alpha - 0.5) + (1 - alpha)),
  m5: (alpha, u) => (alpha < 0.5 ? u * alpha + (1 - alpha) : u * (1 - alpha)),
};
