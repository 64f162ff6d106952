import { describe, expect, test } from "vitest";
import { backwardRuleNames } from "../../shakenet/backward-rules.ts";
import { type ShakeOptions, shakeCoefficients } from "../../shakenet/shake-noise.ts";
import {
  type ShakeScheduleSettings,
  shakeScheduleNames,
  shakeStrength,
} from "../../shakenet/shake-schedule.ts";

const shakeShakeImage: ShakeOptions = {
  forward: "shake",
  backward: "shake",
  level: "image",
  seed: 1,
  blocks: 12,
  batch: 128,
};

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
}

function correlation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const [meanX, meanY] = [mean(x), mean(y)];
  const moment = (a: ArrayLike<number>, meanA: number, b: ArrayLike<number>, meanB: number) =>
    mean(Array.from(a, (value, i) => (value - meanA) * ((b[i] ?? 0) - meanB)));
  return moment(x, meanX, y, meanY) / Math.sqrt(moment(x, meanX, x, meanX) * moment(y, meanY, y, meanY));
}

describe("shakeCoefficients", () => {
  test("shake draws alpha and beta [blocks, batch] from U(0, 1)", () => {
    for (const values of Object.values(shakeCoefficients({ ...shakeShakeImage, batch: 2000 }, 5))) {
      expect(values).toHaveLength(12 * 2000);
      expect(values.every((x: number) => x >= 0 && x < 1)).toBe(true);
      // 24,000 draws: four standard errors are 0.0075 and 0.002
      expect(Math.abs(mean(values) - 1 / 2)).toBeLessThan(0.0075);
      expect(Math.abs(mean(values.map((x: number) => (x - 0.5) ** 2)) - 1 / 12)).toBeLessThan(0.002);
    }
  });

  test("alpha, beta, blocks and steps are independent of one another", () => {
    const options = { ...shakeShakeImage, batch: 10_000 };
    const { alpha, beta } = shakeCoefficients(options, 0);
    const next = shakeCoefficients(options, 1);
    const block = (values: Float32Array, index: number) =>
      values.subarray(index * 10_000, (index + 1) * 10_000);
    const bound = 4 / Math.sqrt(10_000);
    expect(Math.abs(correlation(block(alpha, 0), block(beta, 0)))).toBeLessThan(bound);
    expect(Math.abs(correlation(block(alpha, 0), block(alpha, 1)))).toBeLessThan(bound);
    expect(Math.abs(correlation(block(alpha, 0), block(next.alpha, 0)))).toBeLessThan(bound);
    expect(Math.abs(correlation(alpha.subarray(0, 9_999), alpha.subarray(1, 10_000)))).toBeLessThan(bound);
  });

  test("the level batch gives a block one value for the whole batch, and every block another", () => {
    const { alpha, beta } = shakeCoefficients({ ...shakeShakeImage, level: "batch" }, 3);
    for (const values of [alpha, beta]) {
      const rows = Array.from(
        { length: 12 },
        (_, block) => new Set(values.subarray(block * 128, (block + 1) * 128)),
      );
      expect(rows.map((row) => row.size)).toEqual(new Array(12).fill(1));
      expect(new Set(values).size).toBe(12);
    }
    expect(alpha).not.toEqual(beta);
  });

  test("the values of the level batch are uniform over the steps", () => {
    const options: ShakeOptions = { ...shakeShakeImage, level: "batch", batch: 1 };
    const values = Array.from({ length: 2000 }, (_, step) => [
      ...shakeCoefficients(options, step).alpha,
    ]).flat();
    expect(Math.abs(mean(values) - 1 / 2)).toBeLessThan(0.0075);
    expect(Math.abs(mean(values.map((x) => (x - 0.5) ** 2)) - 1 / 12)).toBeLessThan(0.002);
  });

  test("even is 0.5 everywhere", () => {
    const { alpha, beta } = shakeCoefficients({ ...shakeShakeImage, forward: "even", backward: "even" }, 0);
    expect(alpha).toEqual(new Float32Array(12 * 128).fill(0.5));
    expect(beta).toEqual(alpha);
  });

  test("keep makes beta equal to alpha, shaken or even", () => {
    const kept = shakeCoefficients({ ...shakeShakeImage, backward: "keep" }, 0);
    expect(kept.beta).toEqual(kept.alpha);
    expect(kept.alpha).toEqual(shakeCoefficients(shakeShakeImage, 0).alpha);
    const even = shakeCoefficients({ ...shakeShakeImage, forward: "even", backward: "keep" }, 0);
    expect(even.beta).toEqual(new Float32Array(12 * 128).fill(0.5));
  });

  test("beta is the same whether alpha is shaken or even", () => {
    const evenShake = shakeCoefficients({ ...shakeShakeImage, forward: "even" }, 7);
    expect(evenShake.beta).toEqual(shakeCoefficients(shakeShakeImage, 7).beta);
  });

  test("a step has the same coefficients again, and another seed has others", () => {
    const { alpha } = shakeCoefficients(shakeShakeImage, 41);
    expect(shakeCoefficients(shakeShakeImage, 41).alpha).toEqual(alpha);
    expect(shakeCoefficients({ ...shakeShakeImage, seed: 2 }, 41).alpha).not.toEqual(alpha);
  });

  test("a smaller batch has the first columns of a larger one, so no step reuses the draws of another", () => {
    const large = shakeCoefficients(shakeShakeImage, 390).alpha;
    const small = shakeCoefficients({ ...shakeShakeImage, batch: 80 }, 390).alpha;
    for (let block = 0; block < 12; block++) {
      expect(small.subarray(block * 80, (block + 1) * 80)).toEqual(
        large.subarray(block * 128, block * 128 + 80),
      );
    }
  });

  test("a strength of s draws from U(0.5 - s / 2, 0.5 + s / 2), and 0 is even", () => {
    const full = shakeCoefficients(shakeShakeImage, 3);
    const weak = shakeCoefficients({ ...shakeShakeImage, strength: 0.3 }, 3);
    for (const name of ["alpha", "beta"] as const) {
      for (const [i, value] of weak[name].entries()) {
        expect(value).toBeCloseTo(0.5 + 0.3 * ((full[name][i] ?? 0) - 0.5), 6);
      }
    }
    expect(shakeCoefficients({ ...shakeShakeImage, strength: 1 }, 3)).toEqual(full);
    const none = shakeCoefficients({ ...shakeShakeImage, strength: 0 }, 3);
    expect(none.alpha).toEqual(new Float32Array(12 * 128).fill(0.5));
  });
});

describe("shakeStrength", () => {
  const strengths = (settings: ShakeScheduleSettings, steps = 5) =>
    Array.from({ length: steps }, (_, step) => shakeStrength(settings, step, steps));

  test("is 1 in every step where nothing is said, as in the paper", () => {
    expect(strengths({})).toEqual([1, 1, 1, 1, 1]);
  });

  test.each([
    ["growing", [0, 0.25, 0.5, 0.75, 1]],
    ["shrinking", [1, 0.75, 0.5, 0.25, 0]],
    ["early", [1, 1, 1, 0, 0]],
    ["late", [0, 0, 0, 1, 1]],
  ] as const)("%s changes over the steps of the run", (shakeSchedule, expected) => {
    expect(strengths({ shakeSchedule })).toEqual(expected);
    expect(strengths({ shakeSchedule, shakeRange: 0.2 })).toEqual(expected.map((share) => 0.4 * share));
  });

  test("of a run of one step is finite", () => {
    for (const shakeSchedule of shakeScheduleNames) {
      expect(Number.isFinite(shakeStrength({ shakeSchedule }, 0, 1))).toBe(true);
    }
  });
});

describe("the rules of the paper's table 4", () => {
  // the place of beta between the landmarks of an alpha below 1/2; above, both are mirrored at 1/2
  const laws = {
    m1: (a: number) => [1 - a, 1 - a],
    m2: (a: number) => [0, a],
    m3: (a: number) => [a, 0.5],
    m4: (a: number) => [0.5, 1 - a],
    m5: (a: number) => [1 - a, 1],
  };

  test.each(backwardRuleNames)("%s puts beta where the table says, evenly over its range", (backward) => {
    const options = { ...shakeShakeImage, backward, batch: 2000 };
    const { alpha, beta } = shakeCoefficients(options, 5);
    expect(alpha).toEqual(shakeCoefficients({ ...options, backward: "keep" }, 5).alpha);
    const places = Array.from(alpha, (a, i) => {
      const [own, other] = a < 0.5 ? [a, beta[i] ?? 0] : [1 - a, 1 - (beta[i] ?? 0)];
      const [from = 0, to = 0] = laws[backward](own);
      expect(other).toBeGreaterThanOrEqual(from - 1e-7);
      expect(other).toBeLessThanOrEqual(to + 1e-7);
      return to - from > 1e-3 ? (other - from) / (to - from) : 0.5;
    });
    expect(Math.abs(mean(places) - 0.5)).toBeLessThan(0.0075);
  });

  test("the distance of beta from alpha grows from m2 over m3, m4 and m1 to m5, and shrinks with the strength", () => {
    const distance = (backward: ShakeOptions["backward"], strength: number) => {
      const { alpha, beta } = shakeCoefficients({ ...shakeShakeImage, backward, batch: 2000, strength }, 5);
      return mean(alpha.map((a, i) => Math.abs(a - (beta[i] ?? 0))));
    };
    // the means over alpha from U(0, 1): 1/8 for m2 and m3, 3/8 for m4, 1/2 for m1, 5/8 for m5
    for (const [backward, expected] of [
      ["m2", 1 / 8],
      ["m3", 1 / 8],
      ["m4", 3 / 8],
      ["m1", 1 / 2],
      ["m5", 5 / 8],
    ] as const) {
      expect(Math.abs(distance(backward, 1) - expected)).toBeLessThan(0.01);
      expect(distance(backward, 0.5)).toBeCloseTo(distance(backward, 1) / 2, 6);
    }
  });
});
