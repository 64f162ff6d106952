import { describe, expect, test } from "vitest";
import { expansions } from "../../../graph-builder/expansions/index.ts";
import { decodeModel } from "../../../graph-builder/index.ts";
import { gradientErrors } from "../../support/check-gradient.ts";
import { caseOf, feedsOf, fileOf, runFile } from "../../support/foreign-node.ts";
import { foreignNodes } from "../../support/foreign-nodes.ts";
import { runGraph } from "../../support/run-graph.ts";

test("every expansion is compared with ONNX Runtime's own kernel", () => {
  const compared = foreignNodes
    .filter(({ test: { kernel = true } = {} }) => kernel)
    .map(({ node }) => node.opType);
  expect(Object.keys(expansions).filter((opType) => !compared.includes(opType))).toEqual([]);
});

describe.each(foreignNodes)("$node.opType of opset $node.opset, $title", ({ node, test: more = {} }) => {
  const { kernel = true, gradient = true, ...settings } = more;

  test.runIf(kernel)("computes what ONNX Runtime's own kernel computes", async () => {
    const ours = await runGraph(decodeModel(fileOf(node)).graph, feedsOf(node));
    const theirs = await runFile(node);
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    for (const [name, { dims, elemType }] of Object.entries(theirs)) {
      expect(ours[name]?.dims, `${name}: shape`).toEqual(dims);
      expect(ours[name]?.elemType, `${name}: type`).toBe(elemType);
      const [actual, expected] = [ours[name]?.numbers() ?? [], theirs[name]?.numbers() ?? []];
      const far = expected.flatMap((value, i) => {
        const found = actual[i] ?? Number.NaN;
        return Math.abs(found - value) <= 2e-5 * Math.max(1, Math.abs(value))
          ? []
          : [`${i}: ${found}, not ${value}`];
      });
      expect(far, name).toEqual([]);
    }
  });

  test.runIf(gradient)("has the gradient of central differences", async () => {
    expect(await gradientErrors("node", caseOf(node, settings))).toEqual([]);
  });
});
