import { expect, test } from "vitest";
import { createBuilder, Graph, sizedInputs } from "../../../graph-builder/index.ts";

function graph(): Graph {
  const g = createBuilder(new Graph("pool"));
  const x = g.input("x", "float", ["batch", 3, "height", "width"]);
  g.output(g.MaxPool(x, { kernel_shape: [2, 2], strides: [2, 2] })[0], "y");
  return g.graph;
}

test("the shapes of a graph follow from the sizes that its inputs are given", () => {
  const sized = sizedInputs({ x: [null, 3, 8, null] }).run(graph());
  expect(sized.inputs[0]?.shape.map(String)).toEqual(["batch", "3", "8", "width"]);
  expect(sized.outputs[0]?.shape.map(String).slice(0, 3)).toEqual(["batch", "3", "4"]);
  expect(graph().inputs[0]?.shape.map(String)).toEqual(["batch", "3", "height", "width"]);
});

test("a size that is fixed cannot be another, and neither can the number of dimensions", () => {
  expect(() => sizedInputs({ x: [null, 1, 8, 8] }).run(graph())).toThrow(
    "The input x is fixed at [batch, 3, height, width], and cannot take [any, 1, 8, 8].",
  );
  expect(() => sizedInputs({ x: [null, 3, 8] }).run(graph())).toThrow("cannot take [any, 3, 8]");
});
