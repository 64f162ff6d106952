import onnxProto from "onnx-proto";
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  createModel,
  type DataType,
  decodeModel,
  encodeModel,
  Graph,
  printGraph,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
import { tensorOf } from "../../../graph-builder/tensor.ts";
import { tensorType } from "../../../graph-builder/types.ts";
import { toOrtTensor } from "../../../runtime/device/tensors.ts";
import { normal } from "../../support/random-tensor.ts";

const { onnx } = onnxProto;

function graphOf(build: (g: Builder, X: Value) => Value): Graph {
  const g = createBuilder(new Graph("forms"));
  g.output(build(g, g.input("X", "float", ["batch", 4])), "Y");
  return g.graph;
}

const written = (graph: Graph, opset: number) => encodeModel(createModel(graph, { opset }));

/** The inputs and the attributes' names of the last node of a file. */
function lastNode(bytes: Uint8Array) {
  const node = onnx.ModelProto.decode(bytes).graph?.node?.at(-1);
  return { inputs: node?.input, attributes: node?.attribute?.map(({ name }) => name) };
}

const forms: Readonly<Record<string, (g: Builder, X: Value) => Value>> = {
  ReduceMean: (g, X) => g.ReduceMean(X, { axes: [1], keepdims: 0 }),
  ReduceL2: (g, X) => g.ReduceL2(X, { axes: [-1] }),
  ReduceLogSumExp: (g, X) => g.ReduceLogSumExp(X),
  ReduceSum: (g, X) => g.ReduceSum(X, g.int64([1]), { keepdims: 0 }),
  Squeeze: (g, X) => g.Squeeze(g.Unsqueeze(X, g.int64([0])), g.int64([0])),
  Unsqueeze: (g, X) => g.Unsqueeze(X, g.int64([1, 2])),
  Split: (g, X) => g.Split(X, g.int64([1, 3]), { axis: 1 })[1] ?? X,
  Softmax: (g, X) => g.Softmax(g.Unsqueeze(X, g.int64([0]))),
  LogSoftmax: (g, X) => g.LogSoftmax(X, { axis: 1 }),
  Hardmax: (g, X) => g.Hardmax(g.Unsqueeze(X, g.int64([0]))),
  "Resize by scales": (g, X) => g.Resize(X, null, g.float([1, 2])),
  "Resize to sizes": (g, X) => g.Resize(X, null, null, g.int64([3, 2])),
  Dropout: (g, X) => g.Dropout(X, g.float(0.25))[0],
  "ReduceSum over no axes": (g, X) => g.Neg(g.ReduceSum(X, null, { noop_with_empty_axes: 1 })),
  "MaxPool, a window that would start in the padding": (g, X) =>
    g.MaxPool(g.Reshape(X, g.int64([1, 1, -1, 4])), {
      ...{ kernel_shape: [1, 2], strides: [1, 3], pads: [0, 1, 0, 1], ceil_mode: 1 },
    })[0],
  "AveragePool, a window that would start behind the end": (g, X) =>
    g.AveragePool(g.Reshape(X, g.int64([1, 1, -1, 4])), {
      ...{ kernel_shape: [1, 1], strides: [1, 5], ceil_mode: 1 },
    }),
  "MaxPool, windows that only a run counts": (g, X) => {
    const image = g.Reshape(X, g.int64([1, 1, -1, 4]));
    const attributes = { kernel_shape: [1, 1], strides: [2, 1], ceil_mode: 1 };
    const declared = tensorType("float", [1, 1, "rows", 4]);
    return g.nodeFrom("MaxPool", [image], attributes, undefined, [declared]).output(0);
  },
};

const opsets = [11, 12, 13, 17, 18, 21];

test.each(Object.keys(forms).flatMap((name) => opsets.map((opset) => [name, opset] as const)))(
  "%s at opset %i is opened by ONNX Runtime, gives the same numbers and reads back the same",
  async (name, opset) => {
    const graph = graphOf(forms[name] ?? ((_, X) => X));
    const X = toOrtTensor(normal([3, 4]).tensor, ort);
    const run = async (bytes: Uint8Array) => {
      const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
      const { Y } = await session.run({ X });
      await session.release();
      return { dims: Y?.dims, data: Y?.data };
    };
    const bytes = written(graph, opset);
    expect(await run(bytes)).toEqual(await run(written(graph, 17)));
    const read = decodeModel(bytes).graph;
    expect(read.outputs.map(({ shape }) => shape)).toEqual(graph.outputs.map(({ shape }) => shape));
    expect(read.nodes.map((node) => node.name)).toEqual(graph.nodes.map((node) => node.name));
    expect(written(decodeModel(bytes).graph, opset)).toEqual(bytes);
  },
);

test("the axes of a mean are an attribute before opset 18 and an input from there on", () => {
  const graph = graphOf(forms["ReduceMean"] ?? ((_, X) => X));
  expect(lastNode(written(graph, 17))).toEqual({ inputs: ["X"], attributes: ["axes", "keepdims"] });
  expect(lastNode(written(graph, 18))).toEqual({
    inputs: ["X", "ReduceMean_0.axes"],
    attributes: ["keepdims"],
  });
});

test("a constant that became an attribute is no initializer any more, unless something else reads it", () => {
  const initializersOf = (build: (g: Builder, X: Value) => Value) =>
    onnx.ModelProto.decode(written(graphOf(build), 12)).graph?.initializer?.length;
  expect(initializersOf((g, X) => g.ReduceSum(X, g.int64([1])))).toBe(0);
  expect(initializersOf((g, X) => g.Expand(g.ReduceSum(X, g.int64([1])), g.int64([1])))).toBe(1);
});

test.each([
  [17, ["Mul", "ReduceMean", "Add", "Sqrt", "Reciprocal", "Mul", "Mul"]],
  [23, ["RMSNormalization"]],
] as const)(
  "layer normalisation without a mean is written at opset %i as onnx knows it",
  async (opset, ops) => {
    const g = createBuilder(new Graph("rms"));
    const X = g.input("X", "float", [3, 4]);
    g.output(g.SimplifiedLayerNormalization(X, g.float([1, 2, 3, 4]))[0], "Y");
    const bytes = written(g.graph, opset);
    expect(onnx.ModelProto.decode(bytes).graph?.node?.map(({ opType }) => opType)).toEqual(ops);
    const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
    const { tensor } = normal([3, 4]);
    const { Y } = await session.run({ X: toOrtTensor(tensor, ort) });
    await session.release();
    const row = tensor.numbers().slice(0, 4);
    const root = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0) / 4 + 1e-5);
    for (const [i, x] of row.entries()) expect(Number(Y?.data[i])).toBeCloseTo(((i + 1) * x) / root, 5);
  },
);

test("statistics that something reads are written in primitive operators at opset 23 too", () => {
  const g = createBuilder(new Graph("rms"));
  const [Y, root] = g.SimplifiedLayerNormalization(g.input("X", "float", [3, 4]), g.float([1, 2, 3, 4]));
  g.output(Y, "Y");
  g.output(root, "root");
  const { graph } = onnx.ModelProto.decode(written(g.graph, 23));
  expect(graph?.node?.map(({ opType }) => opType)).not.toContain("RMSNormalization");
  expect(graph?.output?.map(({ name }) => name)).toEqual(["Y", "root"]);
});

test("the default opset is one that has the operators for their types", () => {
  const opsetOf = (type: DataType, build: (g: Builder, X: Value) => Value) => {
    const g = createBuilder(new Graph("typed"));
    g.output(build(g, g.input("X", type, [2])), "Y");
    return createModel(g.graph).opset;
  };
  expect(opsetOf("float", (g, X) => g.Sin(X))).toBe(17);
  expect(opsetOf("bfloat16", (g, X) => g.Sin(X))).toBe(22);
  expect(opsetOf("float16", (g, X) => g.IsInf(X))).toBe(20);
  expect(opsetOf("bfloat16", (g, X) => g.Relu(X))).toBe(17);
  const quantized = (g: Builder, X: Value) => {
    const numbers = [g.float(0.1), g.constant(tensorOf("uint16", 0))] as const;
    return g.DequantizeLinear(g.QuantizeLinear(X, ...numbers), ...numbers);
  };
  expect(opsetOf("float", quantized)).toBe(21);
});

test("what is written has an IR version that ONNX Runtime loads, whatever the file had", async () => {
  const graph = graphOf((g, X) => g.Relu(X));
  expect(createModel(graph, { opset: 28 }).irVersion).toBe(13);
  const bytes = encodeModel({ ...createModel(graph), irVersion: 14 });
  expect(Number(onnx.ModelProto.decode(bytes).irVersion)).toBe(13);
  await (await ort.InferenceSession.create(bytes)).release();
});

test("a file of opset 18 reads as the graph that it was written from", () => {
  const graph = graphOf(forms["ReduceL2"] ?? ((_, X) => X));
  expect(printGraph(decodeModel(written(graph, 18)).graph)).toBe(printGraph(graph));
});

test.each([
  [
    16,
    "LayerNormalization",
    (g, X) => g.LayerNormalization(X, g.float([1, 1, 1, 1]), null)[0],
    /exists since opset 17/,
  ],
  [
    11,
    "Pow",
    (g, X) => g.Cast(g.Pow(g.Shape(X), g.int64(2)), { to: 1 }),
    /a power of int64 and int64 exists since opset 12/,
  ],
  [
    11,
    "Max",
    (g, X) => g.Cast(g.Max(g.Shape(X), g.int64(2)), { to: 1 }),
    /with these attributes and types it exists since opset 12/,
  ],
  [17, "ReduceMean", (g, X) => g.ReduceMean(X, { noop_with_empty_axes: 1 }), /exists since opset 18/],
  [12, "Unsqueeze", (g, X) => g.Unsqueeze(X, g.Shape(g.Shape(X))), /its input axes must be a constant/],
  [12, "Softmax", (g, X) => g.Softmax(X, { axis: 0 }), /only the last axis is supported/],
  [12, "Hardmax", (g, X) => g.Hardmax(X, { axis: 0 }), /only the last axis is supported/],
  [
    12,
    "QuantizeLinear",
    (g, X) => g.DequantizeLinear(g.QuantizeLinear(X, g.float([1, 2, 1, 2])), g.float([1, 2, 1, 2])),
    /with these attributes and types it exists since opset 13/,
  ],
  [
    12,
    "Pad",
    (g, X) => g.Cast(g.Pad(g.Greater(X, X), g.int64([0, 1, 0, 0])), { to: 1 }),
    /with these attributes and types it exists since opset 13/,
  ],
  [11, "GreaterOrEqual", (g, X) => g.Cast(g.GreaterOrEqual(X, X), { to: 1 }), /exists since opset 12/],
  [
    14,
    "Shape",
    (g, X) => g.Cast(g.Shape(X, { start: 1 }), { to: 1 }),
    /attribute start exists since opset 15/,
  ],
] as const satisfies readonly [number, string, (g: Builder, X: Value) => Value, RegExp][])(
  "opset %i cannot say this %s, and the error names the node",
  (opset, opType, build, reason) => {
    const write = () => written(graphOf(build), opset);
    expect(write).toThrow(UserError);
    expect(write).toThrow(
      new RegExp(`^${opType} at ${opType}_0 cannot be written at opset ${opset}: [^\\n]+\\.$`),
    );
    expect(write).toThrow(reason);
  },
);
