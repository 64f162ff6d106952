import { expect, test } from "vitest";
import {
  appendGradients,
  checkGraph,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  floats,
  printGraph,
  Tensor,
  UserError,
} from "../../../graph-builder/index.ts";
import {
  type FileParts,
  fileOf,
  graphAttribute,
  info,
  initializer,
  int,
  integers,
  ints,
  nodeOf,
  text,
} from "../../support/file-model.ts";
import { runGraph } from "../../support/run-graph.ts";

const keep = { uncovered: "keep" } as const;
const windows = [ints("kernel_shape", [2, 2]), ints("strides", [2, 2])];

/** y = relu(x w), and the classes of y by an operator that is not covered. */
const classifier: FileParts = {
  node: [
    nodeOf("MatMul", ["x", "w"], ["y"]),
    nodeOf("Binarizer", ["y"], ["scores"], [], "ai.onnx.ml"),
    nodeOf("Relu", ["y"], ["z"]),
  ],
  initializer: [initializer("w", floats([1, 2, 3, -4, 5, -6], [3, 2]))],
  input: [info("x", ["batch", 3])],
  output: [info("z", ["batch", 2]), info("scores", ["batch", 2])],
  opsets: { "": 17, "ai.onnx.ml": 3 },
};

test("a node of an unknown operator is refused by its name, or kept, written, printed and run", async () => {
  const bytes = fileOf(classifier);
  expect(() => decodeModel(bytes, "c.onnx")).toThrow(UserError);
  expect(() => decodeModel(bytes, "c.onnx")).toThrow(/operator ai\.onnx\.ml\.Binarizer at scores_node/);
  const model = decodeModel(bytes, "c.onnx", keep);
  checkGraph(model.graph);
  expect(printGraph(model.graph)).toContain("scores = ai.onnx.ml.Binarizer (y)");
  expect(encodeModel(decodeModel(encodeModel(model), "again", keep))).toEqual(encodeModel(model));
  const { scores } = await runGraph(model.graph, { x: floats([1, 0, 1], [1, 3]) });
  expect(scores?.numbers()).toEqual([1, 0]);
});

test.each([
  [
    "a Constant of texts",
    [nodeOf("Constant", [], ["y"], [{ name: "value_strings", type: 8, strings: [Uint8Array.of(97)] }])],
    info("y", [1], "string"),
  ],
  [
    "a pool with auto_pad whose picture has an open size",
    [nodeOf("MaxPool", ["x"], ["y"], [text("auto_pad", "SAME_UPPER"), ...windows])],
    info("y", [1, 1, "rows", 2]),
  ],
])("%s is kept", (_, node, output) => {
  const bytes = fileOf({ node, input: [info("x", [1, 1, "height", 4])], output: [output] });
  expect(() => decodeModel(bytes)).toThrow(UserError);
  expect(decodeModel(bytes, "c.onnx", keep).graph.nodes[0]?.operator.kept).toBeDefined();
});

test("no gradient goes through a kept node, and one beside it does", () => {
  const read = () => decodeModel(fileOf(classifier), "c.onnx", keep).graph;
  const gradientOf = (output: string) => {
    const graph = read();
    const w = graph.initializers.find(({ name }) => name === "w");
    return appendGradients(createBuilder(graph), graph.output(output), w ? [w] : []);
  };
  expect(gradientOf("z")).toHaveLength(1);
  expect(() => gradientOf("scores")).toThrow(/Binarizer at scores_node has no gradient: operator ai\.onnx/);
});

test("nodes that the wanted outputs do not need are no reason to refuse a model", () => {
  const { graph } = decodeModel(fileOf(classifier), "c.onnx", { outputs: ["z"] });
  expect(graph.nodes.map(({ opType }) => opType)).toEqual(["MatMul", "Relu"]);
  expect(decodeModel(fileOf(classifier), "c.onnx", { outputs: ["y"] }).graph.outputs[0]?.name).toBe("y");
  expect(() => decodeModel(fileOf(classifier), "c.onnx", { outputs: ["q"] })).toThrow(
    /nothing makes the output q/,
  );
});

/** s = the sum of x w over three turns of a Loop, whose body reads w from around it. */
const loop: FileParts = {
  node: [
    nodeOf(
      "Loop",
      ["turns", "", "x"],
      ["s"],
      [
        graphAttribute("body", {
          name: "body",
          input: [info("i", [], "int64"), info("go", [], "bool"), info("before", [2])],
          output: [info("stay", [], "bool"), info("after", [2])],
          node: [nodeOf("Identity", ["go"], ["stay"]), nodeOf("Add", ["before", "w"], ["after"])],
        }),
      ],
    ),
  ],
  initializer: [integers("turns", 3), initializer("w", floats([1, 2]))],
  input: [info("x", [2])],
  output: [info("s", [2])],
};

test("the body of a kept Loop reads values around it under the names that they get", async () => {
  const model = decodeModel(fileOf(loop), "loop.onnx", keep);
  const w = model.graph.initializers.find(({ name }) => name === "w");
  expect(w?.uses.map(({ node }) => node.opType)).toEqual(["ai.onnx.Loop"]);
  if (w) w.name = "after";
  expect((await runGraph(model.graph, { x: floats([10, 20]) }))["s"]?.numbers()).toEqual([13, 26]);
  expect(() => decodeModel(fileOf(loop), "loop.onnx")).toThrow(/Loop at s_node runs a graph of its own/);
});

test.each([
  [1, [1, 2]],
  [0, [-1, -2]],
])("an If whose condition is the constant %s is its branch", (condition, expected) => {
  const branch = (opType: string): FileParts => ({
    name: opType,
    node: [nodeOf(opType, ["x"], ["inner"])],
    output: [info("inner", [2])],
  });
  const branches = [
    graphAttribute("then_branch", branch("Identity")),
    graphAttribute("else_branch", branch("Neg")),
  ];
  const tensor = new Tensor("bool", [], Uint8Array.of(condition));
  const bytes = fileOf({
    node: [nodeOf("If", ["c"], ["y"], branches), nodeOf("If", ["c"], ["z"], branches)],
    initializer: [initializer("c", tensor)],
    input: [info("x", [2])],
    output: [info("y", [2]), info("z", [2])],
  });
  return expect(
    runGraph(decodeModel(bytes).graph, { x: floats([1, 2]) }).then(({ y, z }) =>
      [y, z].map((v) => v?.numbers()),
    ),
  ).resolves.toEqual([expected, expected]);
});

test("a sequence of a known number of tensors is read as its tensors", async () => {
  const file = {
    node: [
      nodeOf("SplitToSequence", ["x", "sizes"], ["parts"], [int("axis", 0)]),
      nodeOf("SequenceAt", ["parts", "last"], ["b"]),
      nodeOf("SequenceInsert", ["parts", "b"], ["more"]),
      nodeOf("ConcatFromSequence", ["more"], ["y"], [int("axis", 0)]),
      nodeOf("SequenceLength", ["more"], ["n"]),
    ],
    initializer: [integers("sizes", [1, 2]), integers("last", -1)],
    input: [info("x", [3])],
    output: [info("y", [5]), info("n", [], "int64")],
  };
  const { graph } = decodeModel(fileOf(file));
  checkGraph(graph);
  expect(graph.nodes.map(({ opType }) => opType)).not.toContain("ai.onnx.SequenceConstruct");
  const { y, n } = await runGraph(graph, { x: floats([1, 2, 3]) });
  expect([y?.numbers(), n?.numbers()]).toEqual([[1, 2, 3, 2, 3], [3]]);
  const open = { ...file, output: [info("y", [5]), { name: "more" }] };
  expect(() => decodeModel(fileOf(open))).toThrow(/more_node makes a sequence that is not resolved/);
});

test("a place below 0 of SequenceInsert is before the last tensor", async () => {
  const bytes = fileOf({
    node: [
      nodeOf("SplitToSequence", ["x"], ["parts"], [int("axis", 0)]),
      nodeOf("SequenceInsert", ["parts", "w", "last"], ["more"]),
      nodeOf("ConcatFromSequence", ["more"], ["y"], [int("axis", 0)]),
    ],
    initializer: [initializer("w", floats([9])), integers("last", -1)],
    input: [info("x", [3])],
    output: [info("y", [4])],
  });
  const { y } = await runGraph(decodeModel(bytes).graph, { x: floats([1, 2, 3]) });
  expect(y?.numbers()).toEqual([1, 2, 9, 3]);
});

test("a value without a known type is kept with all that reads it", () => {
  const bytes = fileOf({
    node: [
      nodeOf("Tokenize", ["x"], ["t"], [], "com.example"),
      nodeOf("Add", ["t", "t"], ["u"]),
      nodeOf("Optional", ["u"], ["o"]),
    ],
    input: [info("x", undefined)],
    output: [{ name: "o" }],
    opsets: { "": 18, "com.example": 4 },
  });
  const model = decodeModel(bytes, "text.onnx", keep);
  expect(model.graph.nodes.map(({ opType }) => opType)).toEqual([
    "com.example.Tokenize",
    "ai.onnx.Add",
    "ai.onnx.Optional",
  ]);
  expect(printGraph(model.graph)).toContain("file (float[] x) => (o)");
  expect(decodeModel(encodeModel(model), "again", keep).graph.nodes).toHaveLength(3);
  expect(createModel(model.graph).opset).toBe(18);
});

test("a model without operators of ai.onnx imports none, and a kept node is written at its own opset alone", () => {
  const { node = [], ...rest } = classifier;
  const bytes = fileOf({
    ...rest,
    node: node.slice(1, 2),
    input: [info("y", [1, 2])],
    output: [info("scores", [1, 2])],
    opsets: { "ai.onnx.ml": 3 },
  });
  expect(decodeModel(bytes, "ml.onnx", keep).opset).toBe(18);
  const { graph } = decodeModel(fileOf({ ...loop, opset: 18 }), "loop.onnx", keep);
  expect(() => encodeModel(createModel(graph, { opset: 17 }))).toThrow(
    /Loop at s_node cannot be written at opset 17: it is kept as a file of opset 18 has it/,
  );
});
