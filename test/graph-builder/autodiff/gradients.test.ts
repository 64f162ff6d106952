import { describe, expect, test } from "vitest";
import {
  appendGradients,
  at,
  type Builder,
  createBuilder,
  dataTypeNumbers,
  Graph,
  gradientRules,
  int64s,
  loweringOf,
  type OpType,
  portable,
  type Value,
} from "../../../graph-builder/index.ts";
import { activations } from "../../../graph-builder/operators/activations.ts";
import { algebra } from "../../../graph-builder/operators/algebra.ts";
import { elementwise } from "../../../graph-builder/operators/elementwise.ts";
import { reductions } from "../../../graph-builder/operators/reductions.ts";
import { tensors } from "../../../graph-builder/operators/tensors.ts";
import { tensorOf } from "../../../graph-builder/tensor.ts";
import {
  float16Difference,
  forwardOf,
  gradientErrors,
  typedGradients,
} from "../../support/check-gradient.ts";
import { type OperatorCase, of } from "../../support/elementwise-cases.ts";
import { gradientCases } from "../../support/gradient-cases.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const titled = gradientCases.map((operatorCase) => ({
  ...operatorCase,
  label: [operatorCase.opType, operatorCase.title].filter(Boolean).join(", "),
}));

/** The operators whose rules are checked in double as well: those of ai.onnx without layers. */
function isInDouble(opType: OpType): boolean {
  return [elementwise, activations, tensors, reductions, algebra].some((table) =>
    Object.hasOwn(table, opType),
  );
}

describe("the gradient of every operator equals central differences", () => {
  test.each(titled)("$label", async ({ label, opType, test: gradientCase }) => {
    expect(forwardOf(gradientCase).g.graph.nodes.map((node) => node.opType)).toContain(opType);
    expect(await gradientErrors(label, gradientCase)).toEqual([]);
    expect(await gradientErrors(label, gradientCase, loweringOf("cpu"))).toEqual([]);
  });

  test.each(titled.filter(({ opType }) => isInDouble(opType)))("$label, in double", ({ test }) => {
    expect(typedGradients(test, "double")).not.toEqual([]);
  });

  test.each(titled)("$label, in float16 mixes no types", ({ test }) => {
    expect(typedGradients(test, "float16")).not.toEqual([]);
    expect(typedGradients(test, "float16", loweringOf("cpu"))).not.toEqual([]);
  });

  // those that divide by a count, or add at places
  const summing = new Set<OpType>([
    "BatchNormalization",
    "BatchNormInternal",
    "Gather",
    "GatherElements",
    "GatherND",
    "GlobalAveragePool",
    "LayerNormalization",
    "MaxPool",
    "ReduceMean",
    "SoftmaxCrossEntropyLoss",
  ]);
  test.each(titled.filter(({ opType }) => summing.has(opType)))("$label, in float16", async ({ test }) => {
    expect(await float16Difference(test, portable)).toBeLessThan(0.02);
    expect(await float16Difference(test, loweringOf("cpu"))).toBeLessThan(0.02);
  });

  test("every operator with a rule is in the table", () => {
    const ruled = (Object.keys(gradientRules) as OpType[]).filter(
      (op) => typeof gradientRules[op] === "function",
    );
    expect([...new Set(gradientCases.map(({ opType }) => opType))].sort()).toEqual(ruled.sort());
  });
});

const rows = { X: normal(["batch", 4]), scale: normal([1]) };

/** Forms that files rarely have. */
const rare: readonly OperatorCase[] = [
  of("Resize", "by whole scales along axes from the end", { X: normal(["batch", 2, 5, 4]) }, (g, { X }) =>
    g.Resize(X, null, g.float([3, 2]), { axes: [-2, -1] }),
  ),
  of(
    "LayerNormalization",
    "by one number for all elements",
    rows,
    (g, { X, scale }) => g.LayerNormalization(X, scale, null, { epsilon: 0.1 })[0],
  ),
  of(
    "SimplifiedLayerNormalization",
    "by one number for all elements",
    rows,
    (g, { X, scale }) => g.SimplifiedLayerNormalization(X, scale, { epsilon: 0.1 })[0],
  ),
];

test.each(rare)("$opType $title equals central differences", async ({ title, test: given }) => {
  expect(await gradientErrors(title, given)).toEqual([]);
});

/** Operators that choose among the elements of X and Y [3, 4]. */
const choosing: readonly (readonly [title: string, choose: (g: Builder, X: Value, Y: Value) => Value])[] = [
  ["Max", (g, X, Y) => g.Max(X, Y)],
  ["Min", (g, X, Y) => g.Min(X, Y)],
  ["Clip", (g, X) => g.Clip(X, null, g.constant(tensorOf(X.elemType, 4)))],
  ["ReduceMax", (g, X) => g.ReduceMax(X, { axes: [1], keepdims: 0 })],
  ["ReduceMin", (g, X) => g.ReduceMin(X, { axes: [1] })],
  [
    "ScatterElements",
    (g, X, Y) => {
      const rows = g.constant(int64s([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], [3, 4]));
      return g.ScatterElements(X, rows, Y, { axis: 0, reduction: "max" });
    },
  ],
];

/**
 * The gradient of the sum of what an operator chooses from numbers that are computed in float and rounded,
 * and from others that are computed from these in the type itself.
 */
async function gradientOfChosen(
  choose: (g: Builder, X: Value, Y: Value) => Value,
  elemType: "float" | "float16",
): Promise<number[]> {
  const g = createBuilder(new Graph("chosen"));
  const inputs = ["X", "Y"].map((name) => g.input(name, "float", [3, 4]));
  const rounded = inputs.map((input) => g.Cast(g.Exp(input), { to: dataTypeNumbers[elemType] }));
  const computed = rounded.map((value) => g.Mul(value, g.Tanh(value)));
  const sums = [rounded, computed].map((values) => {
    const chosen = choose(g, at(values, 0), at(values, 1));
    return g.ReduceSum(g.Cast(chosen, { to: dataTypeNumbers.float }), null, { keepdims: 0 });
  });
  g.output(at(appendGradients(g, g.Sum(...sums), [at(inputs, 0)]), 0), "dX");
  const numbers = (from: number) => Array.from({ length: 12 }, (_, i) => Math.sin(from + 1.7 * i) * 2);
  const feeds = { X: tensorOf("float", numbers(0), [3, 4]), Y: tensorOf("float", numbers(4), [3, 4]) };
  return numbersOf(await runGraph(g.graph, feeds), "dX");
}

test.each(choosing)("%s of numbers that float16 rounds has the gradient of float", async (_, choose) => {
  const floats = await gradientOfChosen(choose, "float");
  const halves = await gradientOfChosen(choose, "float16");
  expect(floats.some((number) => number > 0)).toBe(true);
  for (const [i, exact] of floats.entries()) expect(Math.abs(at(halves, i) - exact)).toBeLessThan(0.01);
});
