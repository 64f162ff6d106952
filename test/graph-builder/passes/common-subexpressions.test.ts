import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  floats,
  Graph,
  removeDeadCode,
  runPasses,
  type Value,
} from "../../../graph-builder/index.ts";
import { mergeCommonSubexpressions } from "../../../graph-builder/passes/common-subexpressions.ts";
import { printGraph } from "../../../graph-builder/printer.ts";

function merged(build: (g: Builder, X: Value) => readonly Value[]): Graph {
  const g = createBuilder(new Graph("merged"));
  for (const [i, output] of build(g, g.input("X", "float", ["batch", 4])).entries())
    g.output(output, `y${i}`);
  return runPasses(g.graph, [mergeCommonSubexpressions, removeDeadCode]);
}

const operators = ({ nodes }: Graph) => nodes.map(({ opType }) => opType);

test("the same operation on the same values is done once, through whole chains and equal constants", () => {
  // larger than the constants that the builder itself keeps one of
  const chain = (g: Builder, X: Value) => g.Exp(g.MatMul(X, g.float(Array(80).fill(1), [4, 20])));
  const graph = merged((g, X) => [g.Add(chain(g, X), chain(g, X))]);
  expect(operators(graph)).toEqual(["MatMul", "Exp", "Add"]);
  const [, , add] = graph.nodes;
  expect(add?.input(0)).toBe(add?.input(1));
});

test("numbers of shapes that are the same by their symbols are computed once", () => {
  const images = (g: Builder, X: Value) => g.Gather(g.Shape(X), g.int64([0]));
  const graph = merged((g, X) => [g.Add(images(g, X), images(g, g.Exp(X)))]);
  expect(operators(graph)).toEqual(["Shape", "Gather", "Add"]);
});

test("other attributes, other inputs and their other order are other operations", () => {
  const graph = merged((g, X) => {
    const [a, b] = [g.Softmax(X, { axis: 0 }), g.Softmax(X, { axis: 1 })];
    return [g.Sum(g.Sub(a, b), g.Sub(b, a))];
  });
  expect(operators(graph)).toEqual(["Softmax", "Softmax", "Sub", "Sub", "Sum"]);
});

test("tensors of infinity, of minus infinity, of what is no number, of 0 and of -0 are other tensors", () => {
  const filled = (g: Builder, X: Value, value: number) =>
    g.ConstantOfShape(g.Shape(X), { value: floats([value]) });
  const limits = [Infinity, -Infinity, Number.NaN, Infinity, 0, -0];
  const graph = merged((g, X) => [g.Sum(...limits.map((limit) => filled(g, X, limit)))]);
  expect(operators(graph)).toEqual(["Shape", ...Array(5).fill("ConstantOfShape"), "Sum"]);
});

test("a constant of 0 and one of -0 are two constants", () => {
  const graph = merged((g, X) => [g.Sub(g.Div(X, g.float(0)), g.Div(X, g.float(-0)))]);
  expect(operators(graph)).toEqual(["Div", "Div", "Sub"]);
  expect(graph.nodes.slice(0, 2).map((node) => node.input(1).constant?.numbers())).toEqual([[0], [-0]]);
});

test("what draws numbers is drawn each time", () => {
  const graph = merged((g, X) => [g.Add(g.Dropout(X)[0], g.Dropout(X)[0])]);
  expect(operators(graph)).toEqual(["Dropout", "Dropout", "Add"]);
});

test("two outputs of the graph keep their names where they are the same", () => {
  expect(printGraph(merged((g, X) => [g.Exp(X), g.Exp(X)]))).toMatch(/y0 = .*\n.*y1 = /);
});
