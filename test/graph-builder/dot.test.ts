import { expect, test } from "vitest";
import { appendGradients, createBuilder, Graph, toDot } from "../../graph-builder/index.ts";

test("a graph is drawn with a box a node, clusters by scope, and an arrow for every value that is no constant", () => {
  const g = createBuilder(new Graph("small"));
  const x = g.input("x", "float", ["batch", 2]);
  const sum = g.scope("net", () => g.scope("head", () => g.Add(x, g.float(1))));
  g.output(g.Relu(sum), "y");
  const lines = toDot(g.graph).split("\n").slice(4, -1);
  expect(lines).toEqual([
    '  "input x" [label="x\\nfloat[batch, 2]", shape=ellipse, fillcolor="#dddddd"];',
    '  "Relu_0" [label="Relu", tooltip="Relu_0", fillcolor="#cfe2ff"];',
    '  subgraph "cluster net/" {',
    '    label="net";',
    '    subgraph "cluster net/head/" {',
    '      label="head";',
    '      "net/head/Add_0" [label="Add", tooltip="net/head/Add_0", fillcolor="#cfe2ff"];',
    "    }",
    "  }",
    '  "input x" -> "net/head/Add_0" [label="float[batch, 2]"];',
    '  "net/head/Add_0" -> "Relu_0" [label="float[batch, 2]"];',
    '  "output y" [label="y\\nfloat[batch, 2]", shape=ellipse, fillcolor="#dddddd"];',
    '  "Relu_0" -> "output y";',
  ]);
});

test("nodes of the backward pass have a colour of their own", () => {
  const g = createBuilder(new Graph("step"));
  const x = g.input("x", "float", [2]);
  const loss = g.output(g.ReduceSum(g.Sigmoid(x), null, { keepdims: 0 }), "loss");
  for (const gradient of appendGradients(g, loss, [x])) g.output(gradient, "x_grad");
  const colourOf = (opType: string) =>
    new RegExp(`label="${opType}".* fillcolor="(.*)"`).exec(toDot(g.graph))?.[1];
  expect(colourOf("SigmoidGrad")).not.toBe(colourOf("Sigmoid"));
});

test("quotes and backslashes in names do not end a name", () => {
  const g = createBuilder(new Graph('a "graph"'));
  g.output(g.Relu(g.input('x"\\', "float", [2])), "y");
  const text = toDot(g.graph);
  expect(text).toContain('digraph "a \\"graph\\"" {');
  expect(text).toContain('"input x\\"\\\\" -> "Relu_0"');
});
