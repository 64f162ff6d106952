import onnxProto from "onnx-proto";
import { expect, test } from "vitest";
import { decodeModel, type Graph, UserError } from "../../../graph-builder/index.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const { onnx } = onnxProto;
type Node = { opType: string; input?: string[]; output: string[]; attribute?: object[]; domain?: string };
const { INT, INTS, FLOAT, STRINGS } = onnx.AttributeProto.AttributeType;

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
): Graph {
  const graph = {
    name: "foreign",
    node: [...node],
    input: [floatInfo("X", dims)],
    output: outputs.map((name) => ({ name })),
    valueInfo: [...valueInfo],
  };
  const proto = { irVersion: 8, opsetImport: [{ domain: "", version: opset }], graph };
  return decodeModel(onnx.ModelProto.encode(proto as never).finish()).graph;
}

const constant = (output: string, attribute: object): Node => ({
  opType: "Constant",
  output: [output],
  attribute: [attribute],
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
  expect(graph.output("y").shape).toEqual(["batch"]);
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
  expect(graph.output("dX").shape).toEqual(["batch", 1, 5, 4]);
  const X = normal([1, 1, 2, 2]);
  const [a = 0, b = 0, c = 0, d = 0] = X.tensor.numbers().map((x) => x / 4);
  const expected = [a, a, b, b, a, a, b, b, c, c, d, d, c, c, d, d, 0, 0, 0, 0];
  const actual = numbersOf(await runGraph(graph, { X: X.tensor }), "dX");
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 5);
  expect(() => decoded(["batch", 1, 2, 2], [node], ["dX"])).toThrow(/needs the declared shape/);
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
