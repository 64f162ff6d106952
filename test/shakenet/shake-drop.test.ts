import { describe, expect, test } from "vitest";
import {
  appendGradients,
  at,
  createBuilder,
  Graph,
  inlineFunctions,
  lowerGraph,
  loweringOf,
  printGraph,
  Tensor,
} from "../../graph-builder/index.ts";
import {
  expectedFactor,
  type ShakeDropOptions,
  shakeDropBackward,
  shakeDropCoefficients,
  shakeDropForward,
  survivalOf,
} from "../../shakenet/index.ts";
import { type Case, gradientErrors } from "../support/check-gradient.ts";
import { normal, uniform } from "../support/random-tensor.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";
import { expectSameOutputs } from "../support/same-outputs.ts";

const options: ShakeDropOptions = { seed: 1, blocks: 3, batch: 4000, level: "image" };

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
}

const rowOf = (values: Float32Array, block: number, batch: number) =>
  values.subarray(block * batch, (block + 1) * batch);

/** The factor of a branch by the paper's law. */
const factor = (b: number, other: number) => b + other - b * other;

describe("the survival probability", () => {
  test("falls along a straight line from 1 to that of the last block", () => {
    const over = (blocks: number, last?: number) =>
      Array.from({ length: blocks }, (_, block) => survivalOf(block, blocks, last));
    expect(over(4)).toEqual([0.875, 0.75, 0.625, 0.5]);
    expect(over(2, 0)).toEqual([0.5, 0]);
    expect(over(3, 1)).toEqual([1, 1, 1]);
  });
});

describe("shakeDropCoefficients", () => {
  test("b is 0 or 1 with each block's probability, alpha is from U(-1, 1) and beta from U(0, 1)", () => {
    const { b, alpha, beta } = shakeDropCoefficients(options, 5);
    expect([...new Set(b)].sort()).toEqual([0, 1]);
    for (const [values, low] of [
      [alpha, -1],
      [beta, 0],
    ] as const) {
      expect(values).toHaveLength(12_000);
      expect(values.every((x) => x >= low && x < 1)).toBe(true);
      const middle = (low + 1) / 2;
      // four standard errors of 12,000 draws
      expect(Math.abs(mean(values) - middle)).toBeLessThan((4 * (1 - low)) / Math.sqrt(12 * 12_000));
      expect(mean(values.map((x) => (x - middle) ** 2)) / ((1 - low) ** 2 / 12)).toBeCloseTo(1, 1);
    }
    for (const block of [0, 1, 2]) {
      expect(Math.abs(mean(rowOf(b, block, 4000)) - survivalOf(block, 3))).toBeLessThan(
        4 * Math.sqrt(0.25 / 4000),
      );
    }
  });

  test("the mean of b + alpha - b alpha over many draws is the expectation that evaluation multiplies by", () => {
    for (const survival of [0.5, 0.2]) {
      const { b, alpha } = shakeDropCoefficients({ ...options, batch: 20_000, survival }, 0);
      const factors = b.map((value, i) => factor(value, alpha[i] ?? Number.NaN));
      for (const block of [0, 1, 2]) {
        const found = mean(rowOf(factors, block, 20_000));
        // a factor's standard deviation is below 0.7
        expect(Math.abs(found - expectedFactor(block, 3, survival))).toBeLessThan(
          (4 * 0.7) / Math.sqrt(20_000),
        );
      }
    }
  });

  test("a survival of 1 keeps every branch, and one of 0 keeps none in the last block", () => {
    expect(shakeDropCoefficients({ ...options, survival: 1 }, 0).b.every((b) => b === 1)).toBe(true);
    const { b } = shakeDropCoefficients({ ...options, survival: 0 }, 0);
    expect(rowOf(b, 2, 4000).every((value) => value === 0)).toBe(true);
  });

  test("the level batch gives a block one b, alpha and beta for the whole batch", () => {
    const { b, alpha, beta } = shakeDropCoefficients({ ...options, batch: 16, level: "batch" }, 2);
    for (const values of [b, alpha, beta]) {
      for (const block of [0, 1, 2]) expect(new Set(rowOf(values, block, 16)).size).toBe(1);
    }
    expect(new Set(alpha).size).toBe(3);
  });

  test("a step has the same numbers again, others than the next step and another seed, and b, alpha and beta differ", () => {
    const step = shakeDropCoefficients(options, 7);
    expect(shakeDropCoefficients(options, 7)).toEqual(step);
    expect(shakeDropCoefficients(options, 8).b).not.toEqual(step.b);
    expect(shakeDropCoefficients({ ...options, seed: 2 }, 7).alpha).not.toEqual(step.alpha);
    expect(step.alpha.map((x) => (x + 1) / 2)).not.toEqual(step.beta);
    // a branch that survives says nothing of the size of alpha
    const alphas = step.alpha.filter((_, i) => step.b[i] === 1);
    expect(Math.abs(mean(alphas))).toBeLessThan((4 * 2) / Math.sqrt(12 * alphas.length));
  });

  test("a smaller batch has the first columns of a larger one", () => {
    const large = shakeDropCoefficients({ ...options, batch: 32 }, 3);
    const small = shakeDropCoefficients({ ...options, batch: 20 }, 3);
    for (const name of ["b", "alpha", "beta"] as const) {
      for (const block of [0, 1, 2]) {
        expect(rowOf(small[name], block, 20)).toEqual(rowOf(large[name], block, 32).subarray(0, 20));
      }
    }
  });
});

const image = ["batch", 2, 2, 2];
const branch = normal(image);
const images = branch.tensor.dims[0] ?? 0;
const numbers = (values: readonly number[]) => new Tensor("float", [images], Float32Array.from(values));
const ofImages = (values: readonly number[]) =>
  numbers(Array.from({ length: images }, (_, i) => at(values, i % values.length)));
const feeds = {
  branch: branch.tensor,
  b: ofImages([1, 0]),
  alpha: ofImages([-0.75, 0.5, 0.25]),
  beta: ofImages([0.125, 1]),
  u: normal(image).tensor,
};

/** The gradients of the branch, b and alpha where beta is read in alpha's place, dY being `u`. */
function dropped(forward: typeof shakeDropForward) {
  const g = createBuilder(new Graph("dropped"));
  const [x, u] = [g.input("branch", "float", image), g.input("u", "float", image)];
  const vector = (name: string) => g.input(name, "float", ["batch"]);
  const [b, alpha, beta] = [vector("b"), vector("alpha"), vector("beta")];
  const shaken = g.output(g.call(forward, [x, b, alpha]), "shaken");
  const loss = g.ReduceSum(g.Mul(shaken, u), null, { keepdims: 0 });
  const gradients = appendGradients(g, loss, [x, b, alpha], new Map([[alpha, beta]]));
  for (const [i, gradient] of gradients.entries()) g.output(gradient, `d${i}`);
  return g.graph;
}

describe("ShakeDropForward", () => {
  test("prints as a function", () => {
    expect(printGraph(shakeDropForward.body)).toMatchInlineSnapshot(`
      "ShakeDropForward (float[batch, C, H, W] branch, float[batch] b, float[batch] alpha) => (float[batch, C, H, W] shaken)
      <int64[3] constant_0 = {1, 2, 3}>
      {
        Add_0 = Add (b, alpha)
        Mul_0 = Mul (b, alpha)
        Sub_0 = Sub (Add_0, Mul_0)
        Unsqueeze_0 = Unsqueeze (Sub_0, constant_0)
        shaken = Mul (branch, Unsqueeze_0)
      }"
    `);
  });

  test("has a backward pass of the same body, with the branch's gradient and beta", () => {
    const renamed = printGraph(shakeDropForward.body)
      .replaceAll("ShakeDropForward", "ShakeDropBackward")
      .replaceAll("branch", "grad")
      .replaceAll("alpha", "beta")
      .replaceAll("shaken", "branch_grad");
    expect(printGraph(shakeDropBackward.body)).toBe(renamed);
  });

  test("multiplies a branch by b + alpha - b alpha, and its gradient by b + beta - b beta", async () => {
    const results = await runGraph(dropped(shakeDropForward), feeds);
    const [x, dY, b, alpha, beta] = [feeds.branch, feeds.u, feeds.b, feeds.alpha, feeds.beta].map((tensor) =>
      tensor.numbers(),
    );
    const of = (list: readonly number[] | undefined, i: number) => list?.[i] ?? Number.NaN;
    const [shaken, dx] = [numbersOf(results, "shaken"), numbersOf(results, "d0")];
    expect(dx).toHaveLength(8 * images);
    for (let i = 0; i < 8 * images; i++) {
      const k = Math.floor(i / 8);
      expect(shaken[i]).toBeCloseTo(of(x, i) * factor(of(b, k), of(alpha, k)), 5);
      expect(dx[i]).toBeCloseTo(of(dY, i) * factor(of(b, k), of(beta, k)), 5);
      // where a branch survives, alpha and beta change nothing
      if (of(b, k) === 1) expect(shaken[i]).toBe(of(x, i));
    }
  });

  test("through its body it has the same gradients, by beta too", async () => {
    const byBody = dropped({ ...shakeDropForward, gradient: undefined });
    await expectSameOutputs(dropped(shakeDropForward), byBody, feeds);
  });

  test("with beta equal to alpha its gradients are those of finite differences", async () => {
    const inputs = { branch: normal(image), b: uniform(["batch"]), alpha: uniform(["batch"]) };
    const shaken: Case = {
      inputs,
      build: (g, { branch: x, b, alpha }) => (x && b && alpha ? g.call(shakeDropForward, [x, b, alpha]) : []),
    };
    expect(await gradientErrors("ShakeDropForward", shaken)).toEqual([]);
  });

  test("stays in the blocked layout of the CPU", () => {
    const g = createBuilder(new Graph("blocked"));
    const X = g.input("X", "float", ["batch", 8, 4, 4]);
    const convolved = g.Conv(X, g.input("W", "float", [8, 8, 3, 3]), { pads: [1, 1, 1, 1] });
    const vector = (name: string) => g.input(name, "float", ["batch"]);
    const dropped = g.call(shakeDropForward, [convolved, vector("b"), vector("alpha")]);
    g.output(g.Conv(dropped, g.input("V", "float", [8, 8, 3, 3]), { pads: [1, 1, 1, 1] }), "Y");
    const { nodes } = lowerGraph(inlineFunctions.run(g.graph), loweringOf("cpu", 8));
    const reorders = nodes.filter(({ opType }) => opType.startsWith("Reorder"));
    // weights change their layout by the same operators
    expect(reorders.filter((node) => typeof node.input(0).shape[0] !== "number")).toHaveLength(2);
  });
});
