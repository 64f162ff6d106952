import { expect, test } from "vitest";
import {
  at,
  type BoundGraph,
  createBuilder,
  floats,
  Graph,
  int64s,
  type OptimizerRule,
  optimizerGraph,
  type Tensor,
  Tensor as TensorConstant,
  updateInPlace,
  withExplicitState,
} from "../../../graph-builder/index.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const weights: Readonly<Record<string, readonly number[]>> = {
  "features.0.weight": [0.5, -1],
  "features.0.bias": [0.25, 2],
  "head.weight": [-0.5, 1.5],
  "head.bias": [1, -2],
};
const gradients: Readonly<Record<string, readonly number[]>> = {
  "features.0.weight": [3, -0.5],
  "features.0.bias": [0.25, 0.125],
  "head.weight": [-4, 1],
  "head.bias": [0.5, 0],
};
const names = Object.keys(weights);
const parameters = names.map((name) => ({ name, shape: [2] }));

/** A training graph that takes the gradients, in place of computing them, and updates in place. */
function fused(rule: OptimizerRule): BoundGraph {
  const g = createBuilder(new Graph("fused"));
  const values = names.map((name) => g.input(name, "float", [2]));
  const given = names.map((name) => g.input(`${name}_grad`, "float", [2]));
  return withExplicitState({ graph: g.graph, bindings: updateInPlace(g, values, given, rule) });
}

const forms = {
  "an optimizer model": (rule: OptimizerRule) => optimizerGraph(parameters, rule),
  "a fused model": fused,
};

/** The weights after the first step, at a rate of 0.1, from moments at 0. */
async function afterOneStep(bound: BoundGraph): Promise<Record<string, number[]>> {
  const feeds: Record<string, Tensor> = {
    learning_rate: floats([0.1]),
    step: int64s([1]),
    lazy_reset_grad: new TensorConstant("bool", [1], Uint8Array.of(1)),
  };
  for (const { name = "" } of bound.graph.inputs) feeds[name] ??= floats([0, 0]);
  for (const name of names) {
    feeds[name] = floats(weights[name] ?? []);
    feeds[`${name}_grad`] = floats(gradients[name] ?? []);
  }
  const results = await runGraph(bound.graph, feeds);
  return Object.fromEntries(names.map((name) => [name, numbersOf(results, `${name}_next`)]));
}

/** What `update` makes of every weight and its gradient. */
function expected(update: (name: string, w: number, g: number) => number): Record<string, number[]> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      (weights[name] ?? []).map((w, i) => update(name, w, at(gradients[name] ?? [], i))),
    ]),
  );
}

function expectClose(found: Record<string, number[]>, wanted: Record<string, number[]>): void {
  for (const name of names) {
    for (const [i, value] of (wanted[name] ?? []).entries())
      expect(found[name]?.[i], name).toBeCloseTo(value, 5);
  }
}

test.each(Object.entries(forms))(
  "groups in %s change decay, rate and momentum; of several that match, the later ones win",
  async (_, form) => {
    const rule: OptimizerRule = {
      kind: "sgd-nesterov",
      momentum: 0.5,
      weightDecay: 0.1,
      groups: {
        "features.*": { learningRate: 0.1, momentum: 0 },
        "*.bias": { weightDecay: 0 },
        "head.bias": { learningRate: 0 },
      },
    };
    expectClose(
      await afterOneStep(form(rule)),
      expected((name, w, g) => {
        const isFeature = name.startsWith("features");
        const d = g + (name.endsWith("bias") ? 0 : 0.1) * w;
        const rate = name === "head.bias" ? 0 : isFeature ? 0.01 : 0.1;
        return w - rate * d * (isFeature ? 1 : 1.5);
      }),
    );
  },
);

test.each(Object.entries(forms))("groups in %s change AdamW's decay and rate", async (_, form) => {
  const rule: OptimizerRule = {
    kind: "adamw",
    alpha: 0.9,
    beta: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.5,
    correctBias: true,
    mode: 0,
    groups: { "*.bias": { weightDecay: 0 }, "head.?eight": { learningRate: 0.5 } },
  };
  expectClose(
    await afterOneStep(form(rule)),
    // the first step of AdamW is the sign of the gradient
    expected((name, w, g) => {
      const rate = name === "head.weight" ? 0.05 : 0.1;
      return w - rate * (name.endsWith("bias") ? 0 : 0.5) * w - rate * Math.sign(g);
    }),
  );
});

test.each(Object.entries(forms))(
  "gradients in %s are clipped by value, by norm, and by value before norm",
  async (_, form) => {
    const clip = (g: number) => Math.max(-1, Math.min(1, g));
    const all = Object.values(gradients).flat();
    const [norm, clippedNorm] = [Math.hypot(...all), Math.hypot(...all.map(clip))];
    const cases: readonly [Partial<OptimizerRule>, (g: number) => number][] = [
      [{ clipValue: 1 }, clip],
      [{ maxNorm: 0.5 }, (g) => (g * 0.5) / norm],
      [{ maxNorm: 100 }, (g) => g],
      [{ maxNorm: 0.5, clipValue: 1 }, (g) => (clip(g) * 0.5) / clippedNorm],
    ];
    for (const [limits, limited] of cases) {
      const { maxNorm, clipValue } = limits;
      const bound = form({ kind: "sgd", maxNorm, clipValue });
      expectClose(
        await afterOneStep(bound),
        expected((_name, w, g) => w - 0.1 * limited(g)),
      );
    }
  },
);

test("an optimizer model returns the gradients that it has clipped", async () => {
  const { graph, bindings } = optimizerGraph([{ name: "w", shape: [2] }], { kind: "sgd", clipValue: 1 });
  expect(bindings).toContainEqual({
    role: "gradient",
    parameter: "w",
    input: "w_grad",
    output: "w_grad_next",
  });
  const feeds = { w: floats([0, 0]), w_grad: floats([-3, 0.5]), learning_rate: floats([1]) };
  expect(numbersOf(await runGraph(graph, feeds), "w_grad_next")).toEqual([-1, 0.5]);
});

test.each<[string, OptimizerRule, string]>([
  [
    "a glob that matches nothing",
    { kind: "sgd", groups: { "head.wieght": { learningRate: 2 } } },
    "The group head.wieght matches no trained parameter. Did you mean head.weight?",
  ],
  [
    "a glob like nothing",
    { kind: "sgd", groups: { "classifier.*": {} } },
    "The group classifier.* matches no trained parameter. There are features.0.weight, features.0.bias, head.weight, head.bias.",
  ],
  [
    "a setting that the rule does not have",
    { kind: "sgd", groups: { "*": { momentum: 0.9 } } },
    "sgd has no setting momentum for the group *. It has learningRate, weightDecay.",
  ],
  [
    "a setting that is no number",
    { kind: "sgd", groups: { "*": { learningRate: Number.NaN } } },
    "learningRate of the group * is NaN, and must be a number from 0.",
  ],
  ["a norm of 0", { kind: "sgd", maxNorm: 0 }, "maxNorm is 0, and must be a number above 0."],
  [
    "a value of NaN",
    { kind: "sgd", clipValue: Number.NaN },
    "clipValue is NaN, and must be a number above 0.",
  ],
])("%s is refused", (_, rule, message) => {
  for (const form of Object.values(forms)) expect(() => form(rule)).toThrow(message);
});
