import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  Graph,
  type OpType,
  operators,
  type Value,
} from "../../graph-builder/index.ts";
import { forwardOf } from "../support/check-gradient.ts";
import { dimsOf, isSized } from "../support/random-tensor.ts";
import { openGraph } from "../support/run-graph.ts";
import { shapeCases } from "../support/shape-cases.ts";

test.each(shapeCases)("$label has the shapes that ONNX Runtime returns", async ({ inputs, build }) => {
  const { g, outputs } = forwardOf({ inputs, build });
  const session = await openGraph(g.graph);
  const results = await session.run(
    Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor])),
  );
  await session.release();
  for (const [i, { shape }] of outputs.entries()) {
    const actual = results[`y${i}`]?.dims ?? [];
    const expected = shape.map((dim, axis) => (isSized(dim) ? dimsOf([dim])[0] : actual[axis]));
    expect(actual).toEqual(expected);
  }
  expect(outputs.map((_, i) => results[`y${i}`]?.elemType)).toEqual(outputs.map(({ elemType }) => elemType));
});

test("every operator of ai.onnx is in the table", () => {
  const used = shapeCases.flatMap(({ inputs, build }) =>
    forwardOf({ inputs, build }).g.graph.nodes.map(({ opType }) => opType),
  );
  const standard = (Object.keys(operators) as OpType[]).filter((op) => operators[op].domain === "");
  // ONNX Runtime registers this training operator under ai.onnx
  expect(standard.filter((op) => !used.includes(op) && op !== "MaxPoolGrad")).toEqual([]);
});

test.each([
  ["shapes that do not broadcast", (g, X) => g.Add(X, g.float([1, 2, 3])), "do not broadcast"],
  ["types that differ", (g, X) => g.Add(X, g.int64(1)), "inputs must be of one type"],
  ["an axis outside the rank", (g, X) => g.Softmax(X, { axis: 2 }), "axis 2 is outside rank 2"],
  ["a wrong permutation", (g, X) => g.Transpose(X, { perm: [0, 0] }), "not a permutation"],
  ["a Reshape that does not fit", (g, X) => g.Reshape(X, g.int64([5])), "cannot take the shape [5]"],
  ["a Reshape with two -1", (g, X) => g.Reshape(X, g.int64([-1, -1])), "more than one -1"],
  ["a Squeeze of more than 1", (g, X) => g.Squeeze(X, g.int64([1])), "is not 1"],
  ["a product with a number", (g, X) => g.MatMul(X, g.float(1)), "needs vectors, matrices"],
  ["a Tile without a repeat for every axis", (g, X) => g.Tile(X, g.int64([2])), "needs 2 repeats, not 1"],
  ["a Split that does not add up", (g, X) => g.Split(X, g.int64([1, 2]), { axis: 1 })[0], "does not add up"],
] as [string, (g: Builder, X: Value) => Value | undefined, string][])(
  "%s are refused",
  (_, build, message) => {
    const g = createBuilder(new Graph("refused"));
    expect(() => build(g, g.input("X", "float", [3, 4]))).toThrow(message);
  },
);
