import { describe, expect, test } from "vitest";
import { gradientRules, loweringOf, type OpType } from "../../../graph-builder/index.ts";
import { activations } from "../../../graph-builder/operators/activations.ts";
import { algebra } from "../../../graph-builder/operators/algebra.ts";
import { elementwise } from "../../../graph-builder/operators/elementwise.ts";
import { reductions } from "../../../graph-builder/operators/reductions.ts";
import { tensors } from "../../../graph-builder/operators/tensors.ts";
import { doubleGradients, forwardOf, gradientErrors } from "../../support/check-gradient.ts";
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
    expect(doubleGradients(test)).not.toEqual([]);
  });

  test("every operator with a rule is in the table", () => {
    const ruled = (Object.keys(gradientRules) as OpType[]).filter(
      (op) => typeof gradientRules[op] === "function",
    );
    expect([...new Set(gradientCases.map(({ opType }) => opType))].sort()).toEqual(ruled.sort());
  });
});
