import { describe, expect, test } from "vitest";
import {
  checkGraph,
  createBuilder,
  createModel,
  decodeModel,
  defineFunction,
  encodeModel,
  type FunctionDefinition,
  Graph,
  inlineFunctions,
  printGraph,
  printModel,
  UserError,
} from "../../../graph-builder/index.ts";
import { encodeMessage } from "../../../graph-builder/onnx/wire.ts";
import { anyShape, mix, mixRounded, reverseGradient, roundThrough } from "../../support/example-functions.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

function builder() {
  return createBuilder(new Graph("test"));
}

describe("a file", () => {
  function nested() {
    const g = builder();
    const a = g.input("a", "float", ["batch", 3]);
    const y = g.call(mixRounded, [a, g.input("alpha", "float", ["batch"])]);
    g.output(g.call(reverseGradient, [y, g.float(1)]), "y");
    return g.graph;
  }
  const typesOf = (graph: Graph) => graph.functions().map(({ type }) => type);
  const functions: readonly FunctionDefinition[] = [mixRounded, mix, roundThrough, reverseGradient];

  test("has every function that is called, also by another one, and imports the domains of all", () => {
    expect(printModel(createModel(nested()))).toMatchInlineSnapshot(`
      "<
        ir_version: 8,
        opset_import: ["" : 17, "com.example" : 1, "org.example.adversarial" : 1, "org.example.outer" : 1],
        producer_name: "shakenet"
      >
      test (float[batch, 3] a, float[batch] alpha) => (float[batch, 3] y)
      <float constant_0 = {1}>
      {
        MixRounded_0 = org.example.outer.MixRounded (a, alpha)
        y = org.example.adversarial.ReverseGradient (MixRounded_0, constant_0)
      }
      <
        domain: "org.example.outer",
        opset_import: ["" : 17, "com.example" : 1]
      >
      MixRounded (a, alpha) => (y)
      {
        RoundThrough_0 = com.example.RoundThrough (a)
        Exp_0 = Exp (a)
        y, "Mix_0.weight" = com.example.Mix (RoundThrough_0, Exp_0, alpha)
      }
      <
        domain: "com.example",
        opset_import: ["" : 17]
      >
      RoundThrough (x) => (y)
      {
        constant_0 = Constant <value = float {4}> ()
        constant_1 = Constant <value = float {0.25}> ()
        Mul_0 = Mul (x, constant_0)
        Round_0 = Round (Mul_0)
        y = Mul (Round_0, constant_1)
      }
      <
        domain: "com.example",
        opset_import: ["" : 17]
      >
      Mix (a, b, alpha) => (mixed, weight)
      {
        constant_0 = Constant <value = int64[1] {1}> ()
        constant_1 = Constant <value = float {1}> ()
        weight = Unsqueeze (alpha, constant_0)
        "sum.Mul_0" = Mul (a, weight)
        "sum.Sub_0" = Sub (constant_1, weight)
        "sum.Mul_1" = Mul (b, "sum.Sub_0")
        mixed = Add ("sum.Mul_0", "sum.Mul_1")
      }
      <
        domain: "org.example.adversarial",
        opset_import: ["" : 17]
      >
      ReverseGradient (x, lambda) => (y)
      {
        y = Identity (x)
      }"
    `);
  });

  test("is read with the functions that are known, and written again as the same bytes", () => {
    const bytes = encodeModel(createModel(nested()));
    const model = decodeModel(bytes, "nested.onnx", { functions });
    checkGraph(model.graph);
    expect(typesOf(model.graph)).toEqual(typesOf(nested()));
    expect(encodeModel(model)).toEqual(bytes);
  });

  test("is read with the other functions written out, nested ones too, and computes the same", async () => {
    const graph = nested();
    const read = decodeModel(encodeModel(createModel(graph)), "nested.onnx", {
      functions: [roundThrough],
    }).graph;
    checkGraph(read);
    expect(typesOf(read)).toEqual(["com.example.RoundThrough"]);
    const feeds = { a: normal(["batch", 3]).tensor, alpha: normal(["batch"]).tensor };
    expect(await runGraph(read, feeds)).toEqual(await runGraph(graph, feeds));
  });

  test("keeps its own body where a known function of that name has another", () => {
    const halves = defineFunction({
      domain: "com.example",
      name: "RoundThrough",
      inputs: [["x", anyShape]],
      outputs: [["y", anyShape]],
      body: (g, [x]) => [g.Mul(g.Round(g.Mul(x, g.float(2))), g.float(0.5))],
    });
    const g = builder();
    g.output(g.call(halves, [g.input("x", "float", [2])]), "y");
    const read = decodeModel(encodeModel(createModel(g.graph)), "halves.onnx", { functions: [roundThrough] });
    expect(printGraph(read.graph)).toBe(printGraph(inlineFunctions.run(g.graph)));
  });

  test("of an opset before functions came has them written out", () => {
    const bytes = encodeModel(createModel(nested(), { opset: 13 }));
    const { graph, opset } = decodeModel(bytes, "nested.onnx", { functions });
    expect([opset, graph.functions()]).toEqual([13, []]);
  });
});

/** A file of someone else: y = body of x, and functions. */
function foreign(opType: string, functions: readonly object[], node: object = {}): Uint8Array {
  const type = { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 3 }] } } };
  return encodeMessage("ModelProto", {
    irVersion: 10,
    opsetImport: [
      { domain: "", version: 17 },
      { domain: "f", version: 1 },
    ],
    functions,
    graph: {
      name: "foreign",
      node: [{ domain: "f", opType, name: "call", input: ["x"], output: ["y"], ...node }],
      input: [{ name: "x", type }],
      output: [{ name: "y", type }],
    },
  });
}

/** A function of one node. */
function one(name: string, node: object, about: object = {}): object {
  return {
    domain: "f",
    name,
    input: ["a"],
    output: ["b"],
    opsetImport: [{ domain: "", version: 17 }],
    node: [{ input: ["a"], output: ["b"], ...node }],
    ...about,
  };
}

/** Functions each of which calls the next one twice; the last one is Neg. */
function doubling(count: number): object[] {
  const [first, second] = [
    { input: ["a"], output: ["t"] },
    { input: ["t"], output: ["b"] },
  ];
  return Array.from({ length: count }, (_, i) => {
    const node = { domain: "f", opType: `F${i + 1}` };
    const body = i === count - 1 ? [{ opType: "Neg", input: ["a"], output: ["b"] }] : undefined;
    return one(
      `F${i}`,
      {},
      {
        node: body ?? [
          { ...first, ...node },
          { ...second, ...node },
        ],
      },
    );
  });
}

describe("a file of someone else", () => {
  test("gives a call's attributes to the body, and the function's own where the call has none", () => {
    const slope = { name: "alpha", type: 1, refAttrName: "slope" };
    const leaky = one(
      "Leaky",
      { opType: "LeakyRelu", attribute: [slope] },
      { attribute: [], attributeProto: [{ name: "slope", type: 1, f: 0.5 }] },
    );
    const given = { attribute: [{ name: "slope", type: 1, f: 0.25 }] };
    expect(printGraph(decodeModel(foreign("Leaky", [leaky])).graph)).toContain("LeakyRelu <alpha = 0.5> (x)");
    expect(printGraph(decodeModel(foreign("Leaky", [leaky], given)).graph)).toContain("<alpha = 0.25> (x)");
  });

  test("names the nodes of a body under the call, and reads the body at the function's opset", () => {
    const softmax = one(
      "Old",
      { opType: "Softmax", name: "s" },
      { opsetImport: [{ domain: "", version: 11 }] },
    );
    // opset 11 reads from axis 1, which a vector does not have
    expect(() => decodeModel(foreign("Old", [softmax]))).toThrow(
      /Softmax at call\/s: axis 1 is outside rank 1/,
    );
  });

  test("may have several functions of one name, told apart by their overload", () => {
    const functions = ["", "negative"].map((overload) =>
      one("F", { opType: overload ? "Neg" : "Abs" }, { overload }),
    );
    const operatorsOf = (overload: string) =>
      decodeModel(foreign("F", functions, { overload })).graph.nodes.map(({ opType }) => opType);
    expect([operatorsOf(""), operatorsOf("negative")]).toEqual([["Abs"], ["Neg"]]);
  });

  test("may have a function in an operator's place", async () => {
    const own = { ...one("Relu", { opType: "Neg" }), domain: "" };
    const { graph } = decodeModel(foreign("Relu", [own], { domain: "" }));
    const x = normal([3]).tensor;
    expect(numbersOf(await runGraph(graph, { x }), "y")).toEqual(x.numbers().map((v) => -v));
  });

  test("may have functions that call each other often", () => {
    const { graph } = decodeModel(foreign("F0", doubling(10)));
    expect(graph.nodes.length).toBe(512);
  });

  test.each([
    [
      "a function that calls itself",
      foreign("F", [one("F", { domain: "f", opType: "G" }), one("G", { domain: "f", opType: "F" })]),
      "the model cannot be used: function f.F at call/b/b calls itself by way of f.G, and a function must not.",
    ],
    [
      "functions that stand for 2^39 nodes",
      foreign("F0", doubling(40)),
      "the model cannot be used: its functions stand for more than 250,000 nodes.",
    ],
    [
      "functions that call each other too deep",
      foreign(
        "F0",
        Array.from({ length: 300 }, (_, i) => one(`F${i}`, { domain: "f", opType: `F${i + 1}` })),
      ),
      "the model cannot be used: its functions call each other 200 deep and deeper.",
    ],
    [
      "two functions of one name",
      foreign("F", [one("F", { opType: "Neg" }), one("F", { opType: "Abs" })]),
      "the model cannot be used: it has two functions named f.F.",
    ],
    [
      "more inputs than the function takes",
      foreign("F", [one("F", { opType: "Neg" })], { input: ["x", "x"] }),
      "the model cannot be used: f.F at call has 2 inputs, and the function takes 1.",
    ],
    [
      "an output that the body does not make",
      foreign("F", [one("F", { opType: "Neg" }, { output: ["c"] })]),
      "the model cannot be used: function f.F does not make its output c.",
    ],
    [
      "an overload that the file does not have",
      foreign("F", [one("F", { opType: "Neg" })], { overload: "other" }),
      "the model cannot be used: the overload other of F at call is not in the file.",
    ],
    [
      "a function that the file does not have",
      foreign("F", []),
      "the model cannot be used: operator f.F at call is not supported.",
    ],
  ])("with %s is refused in one sentence", (_, bytes, message) => {
    expect(() => decodeModel(bytes)).toThrow(UserError);
    expect(() => decodeModel(bytes)).toThrow(message);
  });
});
