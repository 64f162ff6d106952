import { expect, test } from "vitest";
import {
  createBuilder,
  Graph,
  type Lowering,
  layer,
  lowerGraph,
  loweringOf,
} from "../../../graph-builder/index.ts";

/** y = Relu(x) and z = Exp(x). */
function small(): Graph {
  const g = createBuilder(new Graph("small"));
  const x = g.input("x", "float", [2]);
  g.output(g.Relu(x), "y");
  g.output(g.Exp(x), "z");
  return g.graph;
}

const operatorsOf = (lowering: Lowering) => lowerGraph(small(), lowering).nodes.map(({ opType }) => opType);

const base: Lowering = { Relu: (g, { I }) => [g.Abs(I(0))], Exp: (g, { I }) => [g.Neg(I(0))] };

test("a rule is asked before the layer below it", () => {
  expect(operatorsOf(layer(base, { Relu: (g, { I }) => [g.Sqrt(I(0))] }))).toEqual(["Sqrt", "Neg"]);
});

test("a rule that declines falls through to the layer below, and below the last the operator stays", () => {
  const declines: Lowering = { Relu: () => undefined, Exp: () => undefined };
  expect(operatorsOf(layer(layer(base, declines), declines))).toEqual(["Abs", "Neg"]);
  expect(operatorsOf(layer(declines, { Relu: () => undefined }))).toEqual(["Relu", "Exp"]);
});

test("the blocked layout leaves what fills no block to the layers below", () => {
  const g = createBuilder(new Graph("narrow"));
  const branch = (name: string) => g.input(name, "float", ["batch", 2, 4, 4]);
  g.output(g.ReluGrad(branch("a"), branch("b")), "y");
  const operatorsBy = (blockSize?: number) =>
    lowerGraph(g.graph, loweringOf("cpu", blockSize)).nodes.map(({ opType }) => opType);
  expect(operatorsBy(8)).toEqual(operatorsBy());
  expect(operatorsBy(8)).not.toContain("ReluGrad");
});

test("on WebGPU, which has no kernel for Sum, a sum is a chain of additions", () => {
  const g = createBuilder(new Graph("sums"));
  const [a, b, c] = ["a", "b", "c"].map((name) => g.input(name, "float", [2]));
  if (!a || !b || !c) throw new Error("inputs are missing");
  g.output(g.Sum(a, b, c), "three");
  g.output(g.Exp(g.Sum(a)), "one");
  const { nodes, outputs } = lowerGraph(g.graph, loweringOf("webgpu"));
  expect(nodes.map(({ opType }) => opType)).toEqual(["Add", "Add", "Exp"]);
  expect(outputs.map(({ name }) => name)).toEqual(["three", "one"]);
});
