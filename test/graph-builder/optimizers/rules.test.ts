import { expect, test } from "vitest";
import {
  floats,
  int64s,
  isStockRule,
  momentCounts,
  momentNames,
  type OptimizerRule,
  optimizerGraph,
  stockOptimizer,
  stockOptimizerGraph,
  type Tensor,
} from "../../../graph-builder/index.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, openGraph } from "../../support/run-graph.ts";

const adamW = { kind: "adamw", alpha: 0.8, beta: 0.95, epsilon: 1e-3, weightDecay: 0.1 } as const;

const rules: Readonly<Record<string, OptimizerRule>> = {
  sgd: { kind: "sgd" },
  "sgd with weight decay": { kind: "sgd", weightDecay: 0.05 },
  "sgd-momentum": { kind: "sgd-momentum", momentum: 0.9, weightDecay: 0.05 },
  "sgd-nesterov": { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0.05 },
  "sgd-nesterov without weight decay": { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0 },
  "adamw without weight decay": { ...adamW, correctBias: true, mode: 0, weightDecay: 0 },
  "adamw as PyTorch": { ...adamW, correctBias: true, mode: 0 },
  "adamw as Hugging Face": { ...adamW, correctBias: true, mode: 1 },
  "adamw without bias correction": { ...adamW, correctBias: false, mode: 1 },
};

/** One element's step by the published formula: the new weight and moments. */
function stepped(
  rule: OptimizerRule,
  w: number,
  g: number,
  moments: readonly number[],
  lr: number,
  t: number,
) {
  const [m = 0, v = 0] = moments;
  if (rule.kind === "sgd") return [w - lr * (g + (rule.weightDecay ?? 0) * w)];
  if (rule.kind === "muon") throw new Error("Muon is no rule of single elements");
  if (rule.kind !== "adamw") {
    const d = g + rule.weightDecay * w;
    const velocity = rule.momentum * m + d;
    return [w - lr * (rule.kind === "sgd-nesterov" ? d + rule.momentum * velocity : velocity), velocity];
  }
  const { alpha, beta, epsilon, weightDecay, correctBias, mode } = rule;
  const first = alpha * m + (1 - alpha) * g;
  const second = beta * v + (1 - beta) * g * g;
  const [c1, c2] = correctBias ? [1 - alpha ** t, 1 - beta ** t] : [1, 1];
  if (mode === 0) {
    const decayed = w - lr * weightDecay * w;
    return [decayed - (lr * (first / c1)) / (Math.sqrt(second / c2) + epsilon), first, second];
  }
  const moved = w - (((lr * Math.sqrt(c2)) / c1) * first) / (Math.sqrt(second) + epsilon);
  return [moved - lr * weightDecay * moved, first, second];
}

test("AdamW makes 13 passes over a parameter, and 12 without weight decay", () => {
  const passes = (weightDecay: number) => {
    const rule = { ...adamW, correctBias: true, mode: 0, weightDecay } as const;
    const { nodes } = optimizerGraph([{ name: "a.w", shape: [2, 3] }], rule).graph;
    return nodes.filter((node) => node.output(0).shape.length === 2).length;
  };
  expect([passes(0.1), passes(0)]).toEqual([13, 12]);
});

test.each(Object.entries(rules))("three steps of %s follow the formula", async (_, rule) => {
  const moments = momentNames("a.w", momentCounts[rule.kind]);
  const state = ["a.w", ...moments];
  const session = await openGraph(optimizerGraph([{ name: "a.w", shape: [2, 3] }], rule).graph);
  let feeds: Record<string, Tensor> = Object.fromEntries(
    state.map((name) => [name, floats(Array(6).fill(0), [2, 3])]),
  );
  feeds["a.w"] = normal([2, 3]).tensor;
  let expected = state.map((name) => numbersOf(feeds, name));
  for (let t = 1; t <= 3; t++) {
    const [gradient, lr] = [normal([2, 3]).tensor, 0.1 / t];
    const inputs = { "a.w_grad": gradient, learning_rate: floats([lr]), step: int64s([t]) };
    const results = await session.run({ ...feeds, ...inputs });
    const columns = gradient.numbers().map((g, i) => {
      const [w = 0, ...old] = expected.map((list) => list[i] ?? 0);
      return stepped(rule, w, g, old, lr, t);
    });
    expected = state.map((_name, k) => columns.map((column) => column[k] ?? Number.NaN));
    for (const [k, name] of state.entries()) {
      const found = numbersOf(results, `${name}_next`);
      for (const [i, value] of (expected[k] ?? []).entries()) expect(found[i]).toBeCloseTo(value, 5);
    }
    feeds = Object.fromEntries(state.map((name) => [name, results[`${name}_next`] ?? floats([])]));
  }
  await session.release();
});

test("the rule of a stock optimizer graph is read back, with the norm to which it clips gradients", () => {
  for (const [name, given] of Object.entries(rules)) {
    for (const rule of [given, { ...given, maxNorm: 0.5 }]) {
      if (isStockRule(rule)) expect(stockOptimizer(stockOptimizerGraph(rule)), name).toEqual(rule);
    }
  }
  expect(stockOptimizer(optimizerGraph([], { kind: "sgd" }).graph)).toBeUndefined();
});

test("ONNX Runtime has a stock optimizer for plain SGD and AdamW, without groups and clipping by value", () => {
  const stock = Object.entries(rules).filter(([, rule]) => isStockRule(rule));
  expect(stock.map(([name]) => name)).toEqual([
    "sgd",
    "adamw without weight decay",
    "adamw as PyTorch",
    "adamw as Hugging Face",
    "adamw without bias correction",
  ]);
  expect(isStockRule({ kind: "sgd", maxNorm: 1, groups: {} })).toBe(true);
  expect(isStockRule({ kind: "sgd", clipValue: 1 })).toBe(false);
  expect(isStockRule({ kind: "sgd", groups: { "*": { learningRate: 2 } } })).toBe(false);
});

test.each(Object.entries(rules))("a parameter that is a single number stays one under %s", (_, rule) => {
  const { graph } = optimizerGraph([{ name: "bias", shape: [] }], rule);
  expect(graph.outputs.map(({ shape }) => shape)).toEqual(graph.outputs.map(() => []));
});
