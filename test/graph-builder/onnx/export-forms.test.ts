import onnxProto from "onnx-proto";
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  Graph,
  printGraph,
  UserError,
  type Value,
} from "../../../graph-builder/index.ts";
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
  "Resize by scales": (g, X) => g.Resize(X, null, g.float([1, 2])),
  "Resize to sizes": (g, X) => g.Resize(X, null, null, g.int64([3, 2])),
  Dropout: (g, X) => g.Dropout(X, g.float(0.25))[0],
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
  [12, "Unsqueeze", (g, X) => g.Unsqueeze(X, g.Shape(g.Shape(X))), /its input axes must be a constant/],
  [12, "Softmax", (g, X) => g.Softmax(X, { axis: 0 }), /only the last axis is supported/],
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
