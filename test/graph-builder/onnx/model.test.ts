import onnxProto from "onnx-proto";
import { expect, test } from "vitest";
import {
  createBuilder,
  createModel,
  decodeMetadata,
  decodeModel,
  encodeModel,
  floats,
  Graph,
  printGraph,
  UserError,
} from "../../../graph-builder/index.ts";
import { normal } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

const { onnx } = onnxProto;

/** A file made by someone else, from its parts. */
function foreign(graph: object, opset = 17): Uint8Array {
  const opsetImport = [{ domain: "", version: opset }];
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject({ irVersion: 8, opsetImport, graph })).finish();
}

function valueInfo(name: string, dims: readonly number[] | undefined, elemType = 1): object {
  const shape = dims && { dim: dims.map((dimValue) => ({ dimValue })) };
  return { name, type: { tensorType: { elemType, ...(shape ? { shape } : {}) } } };
}

test("every kind of attribute comes back as it was, floats by their shortest decimal", () => {
  const g = createBuilder(new Graph("kinds"));
  const X = g.input("X", "float", ["batch", 2, 4, 4]);
  const pooled = g.AveragePool(X, { kernel_shape: [2, 2], count_include_pad: 1, pads: [1, 0, 0, 1] });
  const padded = g.Pad(pooled, g.int64([0, 0, 1, 1, 0, 0, 1, 1]), null, { mode: "edge" });
  const filled = g.ConstantOfShape(g.Shape(padded), { value: floats([0.1]) });
  g.output(g.Add(g.LeakyRelu(padded, { alpha: 0.3 }), filled), "Y");
  const bytes = encodeModel(createModel(g.graph));
  const read = decodeModel(bytes).graph;
  expect(printGraph(read)).toBe(printGraph(g.graph));
  expect(printGraph(read)).toContain("LeakyRelu <alpha = 0.3>");
  expect(printGraph(read)).toContain("ConstantOfShape <value = float[1] {0.1");
  expect(encodeModel(decodeModel(bytes))).toEqual(bytes);
});

test("a file may leave out the types of inner values, and nothing else", () => {
  const g = createBuilder(new Graph("inner"));
  const X = g.input("X", "float", ["batch", 4]);
  g.output(g.Relu(g.Neg(X)), "Y");
  const model = createModel(g.graph);
  const written = (bytes: Uint8Array) => onnx.ModelProto.decode(bytes).toJSON();
  const { graph, ...rest } = written(encodeModel(model));
  const { valueInfo, ...parts } = graph;
  expect(valueInfo).toHaveLength(1);
  expect(written(encodeModel(model, { hasInnerTypes: false }))).toEqual({ ...rest, graph: parts });
});

test("a training BatchNormalization names the statistics that ONNX makes obligatory", () => {
  const outputsOf = (training_mode: number) => {
    const g = createBuilder(new Graph("norm"));
    const X = g.input("X", "float", [4, 2]);
    const statistics = [1, 0, 0, 1].map((value) => g.float([value, value]));
    const node = g.node("BatchNormalization", [X, ...statistics], { training_mode });
    g.output(node.output(0), "Y");
    return onnx.ModelProto.decode(encodeModel(createModel(g.graph))).graph?.node?.[0]?.output;
  };
  expect(outputsOf(0)).toHaveLength(1);
  expect(outputsOf(1)).toHaveLength(3);
});

const relu = { opType: "Relu", name: "a/Relu_0", input: ["x"], output: ["y"] };
const x = valueInfo("x", [2]);
const y = valueInfo("y", [2]);

test.each([
  [
    "an operator set from before 9",
    foreign({ node: [relu], input: [x], output: [y] }, 8),
    /imports opset 8 of ai\.onnx, and only 9 and later are read; onnx.version_converter/,
  ],
  [
    "an input without a shape",
    foreign({ node: [relu], input: [valueInfo("x", undefined)] }),
    /input x has no shape/,
  ],
  [
    "an input that nothing makes",
    foreign({ node: [relu] }),
    /Relu at a\/Relu_0 reads x, which nothing makes/,
  ],
  [
    "nodes in a circle",
    foreign({ node: [{ ...relu, input: ["y"] }], input: [x], output: [y] }),
    /Relu at a\/Relu_0 reads y, which is not made before it: nodes must be in order, without a circle/,
  ],
  [
    "a sparse constant that would fill the memory",
    foreign({
      node: [relu],
      input: [x],
      sparseInitializer: [
        {
          values: { name: "s", dataType: 1, dims: [1], floatData: [1] },
          indices: { dataType: 7, dims: [1], int64Data: [0] },
          dims: [2 ** 40],
        },
      ],
    }),
    /the sparse tensor s has 1099511627776 elements, which take more than 2 GiB/,
  ],
  [
    "an output that nothing makes",
    foreign({ node: [relu], input: [x], output: [valueInfo("z", [2])] }),
    /nothing makes the output z/,
  ],
  ["two values of one name", foreign({ node: [relu, relu], input: [x], output: [y] }), /two values named y/],
  [
    "an unknown attribute",
    foreign({ node: [{ ...relu, attribute: [{ name: "slope", type: 1, f: 1 }] }], input: [x] }),
    /Relu at a\/Relu_0 has an unknown attribute slope/,
  ],
  [
    "an attribute that is missing",
    foreign({ node: [{ ...relu, opType: "Cast", name: "a/Cast_0" }], input: [x] }),
    /Cast at a\/Cast_0: attribute to is missing/,
  ],
  [
    "a tensor of strings",
    foreign({ node: [relu], initializer: [{ name: "x", dataType: 8, dims: [1] }] }),
    /tensor x is of type string/,
  ],
  ["a graph without nodes", foreign({ input: [x], output: [x] }), /its graph has no nodes/],
] as const)("%s is refused in one sentence that names the file", (_, bytes, reason) => {
  const read = () => decodeModel(bytes, "foreign.onnx");
  expect(read).toThrow(UserError);
  expect(read).toThrow(/^foreign\.onnx cannot be used: [^\n]+\.$/);
  expect(read).toThrow(reason);
});

const softmaxOver = (shape: readonly number[], axis?: number) => ({
  node: [
    {
      opType: "Softmax",
      name: "s",
      input: ["x"],
      output: ["y"],
      attribute: axis === undefined ? [] : [{ name: "axis", type: 2, i: axis }],
    },
  ],
  input: [valueInfo("x", shape)],
  output: [valueInfo("y", shape)],
});

test("Softmax of opset 11 goes over the last axis as it is, and over all from another axis on as one", async () => {
  expect(decodeModel(foreign(softmaxOver([2, 3]), 11)).opset).toBe(11);
  expect(decodeModel(foreign(softmaxOver([2, 3, 4], 2), 12)).opset).toBe(12);
  const { graph } = decodeModel(foreign(softmaxOver([2, 3, 4]), 12));
  expect(graph.nodes.map(({ opType }) => opType)).toEqual(["Flatten", "Softmax", "Shape", "Reshape"]);
  const X = normal([2, 3, 4]).tensor;
  const y = numbersOf(await runGraph(graph, { x: X }), "y");
  const exponentials = X.numbers().map(Math.exp);
  const total = exponentials.slice(0, 12).reduce((sum, e) => sum + e, 0);
  expect(y[5]).toBeCloseTo((exponentials[5] ?? 0) / total, 6);
  expect(decodeModel(foreign(softmaxOver([2, 3, 4], 1), 13)).opset).toBe(13);
});

test("metadata are read of a model whose operators are not known", () => {
  const graph = { node: [{ opType: "Einsum", name: "e", input: ["x"], output: ["y"] }] };
  const bytes = onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({ irVersion: 8, graph, metadataProps: [{ key: "data", value: "shapes" }] }),
  ).finish();
  expect(decodeMetadata(bytes)).toEqual({ data: "shapes" });
  expect(() => decodeMetadata(Uint8Array.of(1, 2, 3), "text.onnx")).toThrow(
    /^text\.onnx is not an ONNX model/,
  );
});

test("numbers in typed fields and initializers listed as inputs are read", () => {
  const shape = { name: "s", dataType: 7, dims: [2], int64Data: [-1, 2] };
  const node = { opType: "Reshape", name: "r", input: ["x", "s"], output: ["y"] };
  const bytes = foreign({
    name: "g",
    node: [node],
    input: [valueInfo("x", [4]), valueInfo("s", [2], 7)],
    initializer: [shape],
    output: [y],
  });
  const { graph } = decodeModel(bytes);
  expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  expect(graph.output("y").shape).toEqual([2, 2]);
});
