import { describe, expect, test } from "vitest";
import { gradientRules, loweringOf, type OpType } from "../../../graph-builder/index.ts";
import { forwardOf, gradientErrors } from "../../support/check-gradient.ts";
import { gradientCases } from "../../support/gradient-cases.ts";

const titled = gradientCases.map((operatorCase) => ({
  ...operatorCase,
  label: [operatorCase.opType, operatorCase.title].filter(Boolean).join(", "),
}));

describe("the gradient of every operator equals central differences", () => {
  test.each(titled)("$label", async ({ label, opType, test: gradientCase }) => {
    expect(forwardOf(gradientCase).g.graph.nodes.map((node) => node.opType)).toContain(opType);
    expect(await gradientErrors(label, gradientCase)).toEqual([]);
    expect(await gradientErrors(label, gradientCase, loweringOf("cpu"))).toEqual([]);
  });

  test("every operator with a rule is in the table", () => {
    const ruled = (Object.keys(gradientRules) as OpType[]).filter(
      (op) => typeof gradientRules[op] === "function",
    );
    expect([...new Set(gradientCases.map(({ opType }) => opType))].sort()).toEqual(ruled.sort());
  });
});
