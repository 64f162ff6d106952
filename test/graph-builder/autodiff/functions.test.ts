import { describe, expect, test } from "vitest";
import {
  appendGradients,
  type Builder,
  checkGraph,
  createBuilder,
  defineFunction,
  floats,
  Graph,
  type Value,
} from "../../../graph-builder/index.ts";
import { type Case, gradientErrors } from "../../support/check-gradient.ts";
import { anyShape, mix, mixRounded, reverseGradient, roundThrough } from "../../support/example-functions.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, openGraph, runGraph } from "../../support/run-graph.ts";

function builder() {
  return createBuilder(new Graph("test"));
}

type MixCase = Case<"a" | "b" | "alpha">;

describe("the backward pass", () => {
  const inputs = { a: normal(["batch", 3]), b: normal(["batch", 3]), alpha: normal(["batch"]) };

  test("goes by the function's own gradient", () => {
    const g = builder();
    const x = g.input("x", "float", [2]);
    const [dx] = appendGradients(g, g.ReduceSum(g.call(roundThrough, [x]), null, { keepdims: 0 }), [x]);
    expect(dx?.producer?.opType).toBe("Expand");
  });

  test("goes through the body of a function without one, as central differences say", async () => {
    const test: MixCase = { inputs, build: (g, { a, b, alpha }) => g.call(mix, [a, b, alpha]) };
    expect(await gradientErrors("Mix", test)).toEqual([]);
  });

  test("adds the gradients of an input that is given twice", async () => {
    const build: MixCase["build"] = (g, { a, alpha }) => g.call(mix, [a, a, alpha])[0];
    expect(await gradientErrors("Mix", { inputs, targets: ["a", "alpha"], build })).toEqual([]);
  });

  test("goes through calls in a body, by their own gradients", async () => {
    const g = builder();
    const [a, alpha] = [g.input("a", "float", ["batch", 3]), g.float([1])];
    const [da] = appendGradients(g, g.ReduceSum(g.call(mixRounded, [a, alpha]), null, { keepdims: 0 }), [a]);
    if (da) g.output(da, "da");
    checkGraph(g.graph);
    // by alpha = 1 all of the gradient comes through the rounding, and none through Exp
    expect(numbersOf(await runGraph(g.graph, { a: inputs.a.tensor }), "da")).toEqual(Array(9).fill(1));
  });

  test("names its nodes behind the call, and belongs to the backward phase", () => {
    const g = builder();
    const a = g.input("a", "float", ["batch", 3]);
    const [y] = g.scope("block", () => g.call(mix, [a, a, g.float([1])]));
    appendGradients(g, g.ReduceSum(y, null, { keepdims: 0 }), [a]);
    const added = g.graph.nodes.filter(({ name }) => name.startsWith("block/Mix_0_Grad/"));
    expect(added.map(({ name }) => name)).toContain("block/Mix_0_Grad/sum/Mul_0_Grad/Mul_0");
    expect(new Set(added.map(({ phase }) => phase))).toEqual(new Set(["backward"]));
  });

  test("is refused through a body that draws random numbers", () => {
    const noisy = defineFunction({
      domain: "com.example",
      name: "Noisy",
      inputs: [["x", anyShape]],
      outputs: [["y", anyShape]],
      body: (g, [x]) => [g.Dropout(x)[0]],
    });
    const g = builder();
    const x = g.input("x", "float", [2]);
    expect(() => appendGradients(g, g.call(noisy, [x]), [x])).toThrow(
      "com.example.Noisy at Noisy_0 has no gradient: its body draws random numbers, so it needs a gradient of its own",
    );
  });
});

describe("a substitute", () => {
  test("is read by the gradient of any operator in its value's place", async () => {
    // feedback alignment (Lillicrap et al. 2016): the error goes back by other weights than forward
    const g = builder();
    const x = g.input("x", "float", [2, 3]);
    const [W, B] = [g.input("W", "float", [3, 4]), g.input("B", "float", [3, 4])];
    const loss = g.ReduceSum(g.MatMul(x, W), null, { keepdims: 0 });
    const [dx] = appendGradients(g, loss, [x], new Map([[W, B]]));
    if (dx) g.output(dx, "dx");
    g.output(g.ReduceSum(B, g.int64([1]), { keepdims: 0 }), "sums");
    const feeds = { x: normal([2, 3]).tensor, W: normal([3, 4]).tensor, B: normal([3, 4]).tensor };
    const results = await runGraph(g.graph, feeds);
    const sums = numbersOf(results, "sums");
    for (const [i, value] of numbersOf(results, "dx").entries())
      expect(value).toBeCloseTo(sums[i % 3] ?? 0, 5);
  });

  test("of another type is refused", () => {
    const g = builder();
    const [x, W] = [g.input("x", "float", [2, 3]), g.input("W", "float", [3, 4])];
    const loss = g.ReduceSum(g.MatMul(x, W), null, { keepdims: 0 });
    expect(() => appendGradients(g, loss, [x], new Map([[W, x]]))).toThrow(
      "the substitute of W is float[2, 3], not float[3, 4]",
    );
  });
});

/** Scalars by name, and how many steps of gradient descent at which rate change them. */
interface Descent {
  readonly weights: Readonly<Record<string, number>>;
  readonly rate: number;
  readonly steps: number;
}

/** Descends a loss of scalars and returns its value before every step, and the scalars after the last. */
async function descend(
  { weights, rate, steps }: Descent,
  lossOf: (g: Builder, weights: Readonly<Record<string, Value>>) => Value,
) {
  const g = builder();
  const names = Object.keys(weights);
  const values = Object.fromEntries(names.map((name) => [name, g.input(name, "float", [])]));
  const loss = g.output(lossOf(g, values), "loss");
  const gradients = appendGradients(g, loss, Object.values(values));
  for (const [i, gradient] of gradients.entries()) g.output(gradient, `gradient${i}`);
  const session = await openGraph(g.graph);
  const current = { ...weights };
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const feeds = Object.fromEntries(names.map((name) => [name, floats(current[name] ?? 0)]));
    const results = await session.run(feeds);
    losses.push(...numbersOf(results, "loss"));
    for (const [i, name] of names.entries()) {
      current[name] = (current[name] ?? 0) - rate * (numbersOf(results, `gradient${i}`)[0] ?? Number.NaN);
    }
  }
  await session.release();
  return { losses, weights: current };
}

describe("a function with a gradient of its own trains on the CPU", () => {
  const square = (g: Builder, value: Value, target: number) => {
    const error = g.Sub(value, g.float(target));
    return g.Mul(error, error);
  };

  test("a straight-through estimator finds a weight that rounding alone never changes", async () => {
    const start = { weights: { w: 0 }, rate: 0.1, steps: 12 };
    const through = await descend(start, (g, { w }) =>
      square(g, g.call(roundThrough, [w ?? g.float(0)]), 0.75),
    );
    expect(through.losses[0]).toBeCloseTo(0.5625);
    expect(through.losses.at(-1)).toBe(0);
    const rounded = await descend(start, (g, { w }) => square(g, g.Round(w ?? g.float(0)), 0.75));
    expect(rounded.weights).toEqual({ w: 0 });
  });

  test("a gradient reversal layer lets the head learn and the feature before it unlearn", async () => {
    // the head v predicts 1 from the feature w
    const start = { weights: { w: 0.5, v: 0.5 }, rate: 0.1, steps: 8 };
    const lossOf =
      (isReversed: boolean) =>
      (g: Builder, { w, v }: Readonly<Record<string, Value>>) => {
        const feature = w ?? g.float(0);
        const seen = isReversed ? g.call(reverseGradient, [feature, g.float(0.5)]) : feature;
        return square(g, g.Mul(seen, v ?? seen), 1);
      };
    const plain = await descend({ ...start, steps: 1 }, lossOf(false));
    const reversed = await descend({ ...start, steps: 1 }, lossOf(true));
    expect(reversed.losses).toEqual(plain.losses);
    const step = ({ weights }: typeof plain, name: string) => (weights[name] ?? Number.NaN) - 0.5;
    expect(step(reversed, "v")).toBeCloseTo(step(plain, "v"), 6);
    expect(step(reversed, "w")).toBeCloseTo(-0.5 * step(plain, "w"), 6);
    const { weights } = await descend(start, lossOf(true));
    expect(weights["v"]).toBeGreaterThan(0.5);
    expect(weights["w"]).toBeLessThan(0.5);
  });
});
