import onnxProto from "onnx-proto";
import { expect, test } from "vitest";
import { decodeModel, floats, type Graph, shapeOf, UserError } from "../../../graph-builder/index.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const { onnx } = onnxProto;
type Node = { opType: string; input?: string[]; output: string[]; attribute?: object[]; domain?: string };
const { INT, INTS, FLOAT, FLOATS, STRINGS } = onnx.AttributeProto.AttributeType;

const floatInfo = (name: string, dims: readonly (number | string)[]) => ({
  name,
  type: {
    tensorType: {
      elemType: 1,
      shape: { dim: dims.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d })) },
    },
  },
});

/** Reads a file with nodes over `X`, in forms that our own files do not have. */
function decoded(
  dims: readonly (number | string)[],
  node: readonly Node[],
  outputs: readonly string[],
  valueInfo: readonly object[] = [],
  opset = 18,
  inputs: readonly object[] = [],
): Graph {
  const graph = {
    name: "foreign",
    node: [...node],
    input: [floatInfo("X", dims), ...inputs],
    output: outputs.map((name) => ({ name })),
    valueInfo: [...valueInfo],
  };
  const proto = { irVersion: 8, opsetImport: [{ domain: "", version: opset }], graph };
  return decodeModel(onnx.ModelProto.encode(onnx.ModelProto.fromObject(proto)).finish()).graph;
}

const constant = (output: string, attribute: object): Node => ({
  opType: "Constant",
  output: [output],
  attribute: [attribute],
});

test("the body of a Scan may declare no types: they are those of what the Scan reads", async () => {
  const body = {
    name: "body",
    input: [{ name: "sum" }, { name: "element" }],
    output: [{ name: "next" }, { name: "made" }],
    node: [
      { opType: "Add", input: ["sum", "element"], output: ["next"] },
      { opType: "Identity", input: ["next"], output: ["made"] },
    ],
  };
  const attribute = [
    { name: "body", type: onnx.AttributeProto.AttributeType.GRAPH, g: body },
    { name: "num_scan_inputs", type: INT, i: 1 },
    { name: "scan_input_axes", type: INTS, ints: [1] },
  ];
  const graph = decoded(
    ["batch", 3],
    [
      constant("axes", { name: "value_ints", type: INTS, ints: [1] }),
      { opType: "ReduceSum", input: ["X", "axes"], output: ["kept"] },
      { opType: "Squeeze", input: ["kept", "axes"], output: ["first"] },
      { opType: "Scan", input: ["first", "X"], output: ["last", "y"], attribute },
    ],
    ["last", "y"],
  );
  expect(graph.output("last").shape).toEqual(graph.input("X").shape.slice(0, 1));
  const X = normal([2, 3]);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = X.tensor.numbers();
  const [first, second] = [a + b + c, d + e + f];
  const results = await runGraph(graph, { X: X.tensor });
  expect(results["y"]?.dims).toEqual([3, 2]);
  const sums = [first + a, second + d, first + a + b, second + d + e, 2 * first, 2 * second];
  for (const [i, sum] of numbersOf(results, "y").entries()) expect(sum).toBeCloseTo(sums[i] ?? 0, 5);
});

test("Constant may carry numbers instead of a tensor", async () => {
  const graph = decoded(
    ["batch", 2],
    [
      constant("axes", { name: "value_ints", type: INTS, ints: [0] }),
      constant("three", { name: "value_float", type: FLOAT, f: 3 }),
      { opType: "Mul", input: ["X", "three"], output: ["m"] },
      { opType: "ReduceSum", input: ["m", "axes"], output: ["y"] },
    ],
    ["y"],
  );
  expect(graph.output("y").shape).toEqual([1, 2]);
  const X = normal([3, 2]);
  const [a = 0, , c = 0, , e = 0] = X.tensor.numbers();
  expect(numbersOf(await runGraph(graph, { X: X.tensor }), "y")[0]).toBeCloseTo(3 * (a + c + e), 4);
});

test("a Constant that is no tensor of numbers is refused by its name", () => {
  const text = constant("t", { name: "value_strings", type: STRINGS, strings: [new Uint8Array(1)] });
  expect(() => decoded([1], [text], ["t"])).toThrow(UserError);
});

test("ReduceMean takes its axes as an input from opset 18 on", async () => {
  const graph = decoded(
    ["batch", 4],
    [
      constant("axes", { name: "value_ints", type: INTS, ints: [-1] }),
      {
        opType: "ReduceMean",
        input: ["X", "axes"],
        output: ["y"],
        attribute: [{ name: "keepdims", type: INT, i: 0 }],
      },
    ],
    ["y"],
  );
  expect(graph.output("y").shape).toEqual(shapeOf(["batch"]));
  const X = normal([1, 4]);
  const mean = X.tensor.numbers().reduce((sum, x) => sum + x, 0) / 4;
  expect(numbersOf(await runGraph(graph, { X: X.tensor }), "y")[0]).toBeCloseTo(mean, 5);
});

test.each([
  ["ReduceL2", (row: number[]) => Math.hypot(...row)],
  ["ReduceLogSumExp", (row: number[]) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))],
] as const)("%s takes its axes as an input from opset 18 on", async (opType, definition) => {
  const axes = constant("axes", { name: "value_ints", type: INTS, ints: [1] });
  const graph = decoded([2, 3], [axes, { opType, input: ["X", "axes"], output: ["y"] }], ["y"]);
  expect(graph.output("y").shape).toEqual([2, 1]);
  const X = normal([2, 3]);
  const numbers = X.tensor.numbers();
  const actual = numbersOf(await runGraph(graph, { X: X.tensor }), "y");
  for (const r of [0, 1]) expect(actual[r]).toBeCloseTo(definition(numbers.slice(3 * r, 3 * r + 3)), 5);
});

test("Split without sizes makes equal parts, the last one smaller where they do not divide", () => {
  const split = (count: number) =>
    decoded(
      ["batch", 7],
      [
        {
          opType: "Split",
          input: ["X"],
          output: Array.from({ length: count }, (_, i) => `y${i}`),
          attribute: [
            { name: "axis", type: INT, i: -1 },
            { name: "num_outputs", type: INT, i: count },
          ],
        },
      ],
      ["y0"],
    ).nodes[0]?.outputs.map(({ shape }) => shape[1]);
  expect(split(7)).toEqual(Array(7).fill(1));
  expect(split(3)).toEqual([3, 3, 1]);
});

test("AveragePoolGrad takes the size of its output from the file", async () => {
  const attribute = [
    { name: "kernel_shape", type: INTS, ints: [2, 2] },
    { name: "strides", type: INTS, ints: [2, 2] },
  ];
  const node = { opType: "AveragePoolGrad", input: ["X"], output: ["dX"], attribute };
  const graph = decoded(["batch", 1, 2, 2], [node], ["dX"], [floatInfo("dX", ["batch", 1, 5, 4])]);
  expect(graph.output("dX").shape).toEqual(shapeOf(["batch", 1, 5, 4]));
  const X = normal([1, 1, 2, 2]);
  const [a = 0, b = 0, c = 0, d = 0] = X.tensor.numbers().map((x) => x / 4);
  const expected = [a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d, 0, 0, 0, 0];
  const actual = numbersOf(await runGraph(graph, { X: X.tensor }), "dX");
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 5);
  expect(() => decoded(["batch", 1, 2, 2], [node], ["dX"])).toThrow(
    /AveragePoolGrad at dX: the file must declare the shape of its output/,
  );
});

test("an operator that is not covered is named with its node", () => {
  const node = {
    opType: "GRUTraining",
    domain: "com.microsoft",
    input: ["X"],
    output: ["y"],
    name: "rnn/gru",
  };
  expect(() => decoded(["batch", 2], [node], ["y"])).toThrow(
    "operator com.microsoft.GRUTraining at rnn/gru is not supported",
  );
});

test("an attribute that is not known is named with its node", () => {
  const node = {
    opType: "Relu",
    input: ["X"],
    output: ["y"],
    attribute: [{ name: "slope", type: INT, i: 1 }],
  };
  expect(() => decoded(["batch", 2], [node], ["y"])).toThrow("Relu at y has an unknown attribute slope");
});

test.each(["ReduceSum", "ReduceMean", "ReduceL2", "ReduceLogSumExp"])(
  "%s over axes that only a run tells has dimensions that are not known",
  (opType) => {
    const node = { opType, input: ["X", "axes"], output: ["y"], name: "head/reduce" };
    const inputs = [floatInfo("axes", [1])];
    const y = decoded([2, 3], [node], ["y"], [], 18, inputs).output("y");
    expect(y.shape.map(String)).toEqual(["head_reduce_0_0", "head_reduce_0_1"]);
  },
);

test.each([
  ["ReduceSum", (x: number) => x],
  ["ReduceMean", (x: number) => x],
  ["ReduceL2", Math.abs],
  ["ReduceLogSumExp", (x: number) => x],
] as const)("%s without axes reduces all, or with noop_with_empty_axes none", async (opType, unreduced) => {
  const graphOf = (noop: number, axes: string[]) =>
    decoded(
      [2, 2],
      [
        constant("none", { name: "value_ints", type: INTS, ints: [] }),
        {
          opType,
          input: ["X", ...axes],
          output: ["y"],
          attribute: [{ name: "noop_with_empty_axes", type: INT, i: noop }],
        },
      ],
      ["y"],
    );
  const X = normal([2, 2]);
  for (const axes of [[], ["none"]]) {
    expect(graphOf(0, axes).output("y").shape).toEqual([1, 1]);
    const results = await runGraph(graphOf(1, axes), { X: X.tensor });
    expect(results["y"]?.dims).toEqual([2, 2]);
    for (const [i, x] of X.tensor.numbers().entries())
      expect(numbersOf(results, "y")[i]).toBeCloseTo(unreduced(x), 6);
  }
});

test.each([
  ["ReduceSum", [2, 1]],
  ["ReduceMean", [2, 1]],
])("%s of opset 12 has its axes as an attribute", (opType, shape) => {
  const attribute = [{ name: "axes", type: INTS, ints: [1] }];
  const graph = decoded([2, 3], [{ opType, input: ["X"], output: ["y"], attribute }], ["y"], [], 12);
  expect(graph.output("y").shape).toEqual(shapeOf(shape));
});

test("Unsqueeze, Squeeze and Split of opset 12 have their numbers as attributes", () => {
  const ints = (name: string, ...list: number[]) => [{ name, type: INTS, ints: list }];
  const nodes = [
    { opType: "Unsqueeze", input: ["X"], output: ["u"], attribute: ints("axes", 0) },
    { opType: "Squeeze", input: ["u"], output: ["s"], attribute: ints("axes", 0) },
    { opType: "Split", input: ["s"], output: ["a", "b"], attribute: ints("split", 1, 2) },
  ];
  const graph = decoded([3, 2], nodes, ["u", "s", "a", "b"], [], 12);
  expect(graph.outputs.map(({ shape }) => shape)).toEqual([
    [1, 3, 2],
    [3, 2],
    [1, 2],
    [2, 2],
  ]);
});

test("Squeeze without axes drops the dimensions that are 1, and is refused where one may be", () => {
  const node = { opType: "Squeeze", input: ["X"], output: ["y"] };
  expect(decoded([1, 3, 1], [node], ["y"]).output("y").shape).toEqual([3]);
  expect(() => decoded(["batch", 3], [node], ["y"])).toThrow(
    "Squeeze at y: axes must be given, because a dimension of [batch, 3] may be 1",
  );
});

test.each([11, 13, 18])("an empty tensor says nothing to a Resize of opset %i", (opset) => {
  const graph = decoded(
    [1, 1, 2, 2],
    [
      constant("none", { name: "value_floats", type: FLOATS, floats: [] }),
      constant("sizes", { name: "value_ints", type: INTS, ints: [1, 1, 4, 4] }),
      { opType: "Resize", input: ["X", "none", "none", "sizes"], output: ["y"] },
    ],
    ["y"],
    [],
    opset,
  );
  expect(graph.output("y").shape).toEqual([1, 1, 4, 4]);
});

test("Split without sizes divides a dimension that only a run tells", async () => {
  const node = { opType: "Split", input: ["X"], output: ["a", "b"] };
  const graph = decoded(["batch", 3], [node], ["a", "b"]);
  const results = await runGraph(graph, { X: normal([5, 3]).tensor });
  expect([results["a"]?.dims, results["b"]?.dims]).toEqual([
    [3, 3],
    [2, 3],
  ]);
});

test("a Pad of opset 18 may name its axes", () => {
  const nodes = [
    constant("pads", { name: "value_ints", type: INTS, ints: [1, 2] }),
    constant("axes", { name: "value_ints", type: INTS, ints: [-1] }),
    { opType: "Pad", input: ["X", "pads", "", "axes"], output: ["y"] },
  ];
  expect(decoded(["batch", 3], nodes, ["y"]).output("y").shape).toEqual(shapeOf(["batch", 6]));
});

test("ConstantOfShape without a value is zeros", async () => {
  const nodes = [
    { opType: "Shape", input: ["X"], output: ["shape"] },
    { opType: "ConstantOfShape", input: ["shape"], output: ["y"] },
  ];
  const results = await runGraph(decoded([2], nodes, ["y"]), { X: normal([2]).tensor });
  expect(numbersOf(results, "y")).toEqual([0, 0]);
});

test("Dropout of opset 11 has its ratio as an attribute", () => {
  const attribute = [{ name: "ratio", type: FLOAT, f: 0.25 }];
  const node = { opType: "Dropout", input: ["X"], output: ["y"], attribute };
  const { nodes } = decoded([2], [node], ["y"], [], 11);
  expect(nodes[0]?.input(1).constant?.numbers()).toEqual([0.25]);
});

test("before opset 14, a BatchNormalization with further outputs is in training mode", async () => {
  const names = ["scale", "B", "mean", "variance"];
  const statistics = names.map((name) => floatInfo(name, [2]));
  const output = ["y", "m", "v", "saved_m", "saved_v"];
  const node = { opType: "BatchNormalization", input: ["X", ...names], output };
  const graph = decoded([2, 2], [node], ["y", "m"], [], 13, statistics);
  const feeds = names.map((name) => [name, floats([1, 2])]);
  const X = floats([1, 5, 3, 1], [2, 2]);
  const results = await runGraph(graph, { X, ...Object.fromEntries(feeds) });
  // the batch's means are 2 and 3: x - 2 and x - 3 over the deviations 1 and 2, times scale and plus B
  for (const [i, value] of [0, 4, 2, 0].entries()) expect(numbersOf(results, "y")[i]).toBeCloseTo(value, 4);
  expect(numbersOf(results, "m").map((value) => Number(value.toFixed(5)))).toEqual([1.1, 2.1]);
});

test.each(["constructor", "__proto__", "toString"])("an operator named %s is not supported", (opType) => {
  const node = { opType, input: ["X"], output: ["y"] };
  expect(() => decoded([1], [node], ["y"])).toThrow(`operator ${opType} at y is not supported`);
});

test.each(["constructor", "__proto__"])("an attribute named %s is not known", (name) => {
  const node = { opType: "Relu", input: ["X"], output: ["y"], attribute: [{ name, type: INT, i: 1 }] };
  expect(() => decoded([1], [node], ["y"])).toThrow(`Relu at y has an unknown attribute ${name}`);
});

test("a form belongs to the operator of its domain alone", () => {
  const node = { ...constant("y", { name: "value_float", type: FLOAT, f: 3 }), domain: "com.example" };
  expect(() => decoded([1], [node], ["y"])).toThrow("operator com.example.Constant at y is not supported");
});

test("a node without a name is named by the first output that it has", () => {
  const node = { opType: "TfIdfVectorizer", input: ["X"], output: ["", "last"] };
  expect(() => decoded([1], [node], ["last"])).toThrow("operator TfIdfVectorizer at last is not supported");
});

test("Scaler of ai.onnx.ml is a subtraction and a multiplication by column", async () => {
  const numbers = (name: string, floats: readonly number[]) => ({ name, type: FLOATS, floats });
  const attribute = [numbers("offset", [1, -2]), numbers("scale", [0.5, 3])];
  const node = { opType: "Scaler", domain: "ai.onnx.ml", input: ["X"], output: ["y"], attribute };
  const graph = decoded(["batch", 2], [node], ["y"]);
  expect(graph.output("y").shape).toEqual(shapeOf(["batch", 2]));
  expect(numbersOf(await runGraph(graph, { X: floats([3, 1, 1, -3], [2, 2]) }), "y")).toEqual([1, 9, 0, -3]);
});

test("Imputer of ai.onnx.ml replaces a number, or NaN, by that of its column", async () => {
  const imputer = (replaced: number): Node => ({
    ...{ opType: "Imputer", domain: "ai.onnx.ml", input: ["X"], output: ["y"] },
    attribute: [
      { name: "imputed_value_floats", type: FLOATS, floats: [10, 20] },
      { name: "replaced_value_float", type: FLOAT, f: replaced },
    ],
  });
  const X = floats([1, Number.NaN, Number.NaN, 1], [2, 2]);
  const results = [Number.NaN, 1].map(async (replaced) =>
    numbersOf(await runGraph(decoded(["batch", 2], [imputer(replaced)], ["y"]), { X }), "y"),
  );
  expect(await Promise.all(results)).toEqual([
    [1, 20, 10, 1],
    [10, Number.NaN, Number.NaN, 20],
  ]);
});
