import { expect, test } from "vitest";
import {
  createBuilder,
  createModel,
  defineFunction,
  floats,
  Graph,
  printGraph,
  printModel,
  tensorType,
} from "../../graph-builder/index.ts";

const vectors = tensorType("float", ["batch", "size"]);

/** alpha * a + (1 - alpha) * b, one alpha a row. */
const mix = defineFunction({
  domain: "com.example",
  name: "Mix",
  inputs: [
    ["a", vectors],
    ["b", vectors],
    ["alpha", tensorType("float", ["batch"])],
  ],
  outputs: [["mixed", vectors]],
  body: (g, [a, b, alpha]) => {
    const weight = g.Unsqueeze(alpha, g.int64([1]));
    return [g.Add(g.Mul(a, weight), g.Mul(b, g.Sub(g.float(1), weight)))];
  },
});

test("a model prints with its header, its graph and the functions that it uses", () => {
  const g = createBuilder(new Graph("mix"));
  const vector = (name: string) => g.input(name, "float", ["batch", 4]);
  g.output(g.call(mix, [vector("a"), vector("b"), g.input("alpha", "float", ["batch"])]), "y");
  const model = createModel(g.graph, { docString: "two branches", metadataProps: { seed: "1" } });
  expect(printModel(model)).toMatchInlineSnapshot(`
    "<
      ir_version: 8,
      opset_import: ["" : 17, "com.example" : 1],
      producer_name: "shakenet",
      doc_string: "two branches",
      metadata_props: ["seed": "1"]
    >
    mix (float[batch, 4] a, float[batch, 4] b, float[batch] alpha) => (float[batch, 4] y)
    {
      y = com.example.Mix (a, b, alpha)
    }
    <
      domain: "com.example",
      opset_import: ["" : 17]
    >
    Mix (a, b, alpha) => (mixed)
    {
      constant_0 = Constant <value = int64[1] {1}> ()
      constant_1 = Constant <value = float {1}> ()
      Unsqueeze_0 = Unsqueeze (alpha, constant_0)
      Mul_0 = Mul (a, Unsqueeze_0)
      Sub_0 = Sub (constant_1, Unsqueeze_0)
      Mul_1 = Mul (b, Sub_0)
      mixed = Add (Mul_0, Mul_1)
    }"
  `);
});

test("names that are no identifiers are quoted, and so are dimensions; an input that is left out is an empty name", () => {
  const g = createBuilder(new Graph("odd name"));
  const x = g.input("a.b", "float", ["2*batch", 4]);
  g.output(
    g.scope("head", () => g.Clip(x, null, g.float(6))),
    "y",
  );
  expect(printGraph(g.graph)).toMatchInlineSnapshot(`
    ""odd name" (float["2*batch", 4] "a.b") => (float["2*batch", 4] y)
    <float constant_0 = {6}>
    {
      y = Clip ("a.b", "", constant_0)
    }"
  `);
});

test("every kind of attribute prints in a form of its own", () => {
  const g = createBuilder(new Graph("kinds"));
  const x = g.input("x", "float", [1, 2, 4, 4]);
  const padded = g.Pad(g.LeakyRelu(x, { alpha: 3 }), g.int64([0, 0, 0, 0, 0, 0, 0, 0]), null, {
    mode: "edge",
  });
  const pooled = g.AveragePool(padded, { kernel_shape: [2, 2] });
  const mean = g.ReduceMean(pooled, { axes: [] });
  g.output(g.Add(mean, g.ConstantOfShape(g.int64([1]), { value: floats([0.5]) })), "y");
  const text = printGraph(g.graph);
  for (const form of [
    "LeakyRelu <alpha = 3.0>",
    'Pad <mode = "edge">',
    "AveragePool <kernel_shape = [2, 2]>",
    "ReduceMean <axes : ints = []>",
    "ConstantOfShape <value = float[1] {0.5}>",
  ]) {
    expect(text).toContain(form);
  }
});

test("a constant is cut after as many elements as are asked for", () => {
  const g = createBuilder(new Graph("long"));
  g.output(g.Add(g.input("x", "float", [10]), g.float([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])), "y");
  expect(printGraph(g.graph)).toContain("{0, 1, 2, 3, 4, 5, 6, 7, ...}");
  expect(printGraph(g.graph, { elements: 2 })).toContain("{0, 1, ...}");
  expect(printGraph(g.graph, { elements: 10 })).toContain("{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}");
});
