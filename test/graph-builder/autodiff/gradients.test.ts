import { describe, expect, test } from "vitest";
import { gradientRules, loweringOf, type OpType, portable } from "../../../graph-builder/index.ts";
import { activations } from "../../../graph-builder/operators/activations.ts";
import { algebra } from "../../../graph-builder/operators/algebra.ts";
import { elementwise } from "../../../graph-builder/operators/elementwise.ts";
import { reductions } from "../../../graph-builder/operators/reductions.ts";
import { tensors } from "../../../graph-builder/operators/tensors.ts";
import {
  float16Difference,
  forwardOf,
  gradientErrors,
  typedGradients,
} from "../../support/check-gradient.ts";
import { gradientCases } from "../../support/gradient-cases.ts";

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
