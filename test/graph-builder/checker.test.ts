import { expect, test } from "vitest";
import { checkGraph, copyGraph, createBuilder, Graph, Node } from "../../graph-builder/index.ts";

function relu() {
  const g = createBuilder(new Graph("relu"));
  const x = g.input("x", "float", [2]);
  g.output(g.Relu(x), "y");
  return { g, x };
}

test("a value that lists a node of another graph among its uses is refused", () => {
  const { g, x } = relu();
  new Node("Exp", "elsewhere/Exp_0", [x], {}, [x.type]);
  expect(() => checkGraph(g.graph)).toThrow(
    "Exp at elsewhere/Exp_0: does not read x as input 0 in this graph",
  );
});

test("an input without a name is refused", () => {
  const { g, x } = relu();
  x.name = undefined;
  expect(() => checkGraph(g.graph)).toThrow("graph relu has an input or output without a name");
});

test("a second builder on a graph takes no path that is there already", () => {
  const { g, x } = relu();
  const again = createBuilder(g.graph);
  again.output(again.Relu(x), "z");
  expect(g.graph.nodes.map(({ name }) => name)).toEqual(["Relu_0", "Relu_1"]);
  checkGraph(g.graph);
});

test("a rewritten graph shares no value with the one it comes from, named constants included", () => {
  const g = createBuilder(new Graph("named"));
  const one = g.constant(g.float([1]).constant ?? never(), "one");
  g.output(g.Add(g.input("x", "float", [1]), one), "y");
  checkGraph(copyGraph(g.graph));
  checkGraph(g.graph);
  expect(one.uses).toHaveLength(1);
});

function never(): never {
  throw new Error("a constant has a tensor");
}
