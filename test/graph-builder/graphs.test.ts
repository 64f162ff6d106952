import { expect, test } from "vitest";
import {
  appendGradients,
  checkGraph,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  floats,
  Graph,
  Node,
  printGraph,
  rewriteGraph,
  tensorType,
  Value,
} from "../../graph-builder/index.ts";
import { shakeNetFunctions, trainingModel } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

/** y = Relu(x + 1) in the scope `head`. */
function small() {
  const g = createBuilder(new Graph("small"));
  const x = g.input("x", "float", ["batch", 2]);
  const sum = g.scope("head", () => g.Add(x, g.float(1)));
  const y = g.scope("head", () => g.Relu(sum));
  return { g, x, sum, y };
}

test("a graph prints in ONNX's textual syntax", () => {
  const { g, y } = small();
  g.output(y, "y");
  expect(printGraph(g.graph)).toMatchInlineSnapshot(`
    "small (float[batch, 2] x) => (float[batch, 2] y)
    <float constant_0 = {1}>
    {
      "head.Add_0" = Add (x, constant_0)
      y = Relu ("head.Add_0")
    }"
  `);
});

test("the backward pass of Relu is one ReluGrad, named after what it is the gradient of", () => {
  const { g, x, y } = small();
  const loss = g.output(g.ReduceSum(y, null, { keepdims: 0 }), "loss");
  const [gradient] = appendGradients(g, loss, [x]);
  if (gradient) g.output(gradient, "x_grad");
  expect(printGraph(g.graph)).toMatchInlineSnapshot(`
    "small (float[batch, 2] x) => (float loss, float[batch, 2] x_grad)
    <float constant_0 = {1}, float loss_grad = {1}, int64[2] constant_1 = {0, 1}>
    {
      "head.Add_0" = Add (x, constant_0)
      "head.Relu_0" = Relu ("head.Add_0")
      loss = ReduceSum <keepdims = 0> ("head.Relu_0")
      "ReduceSum_0_Grad.Unsqueeze_0" = Unsqueeze (loss_grad, constant_1)
      "ReduceSum_0_Grad.Shape_0" = Shape ("head.Relu_0")
      "head.Relu_0_grad" = Expand ("ReduceSum_0_Grad.Unsqueeze_0", "ReduceSum_0_Grad.Shape_0")
      "head.Add_0_grad" = com.microsoft.ReluGrad ("head.Relu_0_grad", "head.Relu_0")
      x_grad = Identity ("head.Add_0_grad")
    }"
  `);
});

test("branches that the loss does not read get no backward pass, and a target it does not reach gets zeros", () => {
  const { g, x, y } = small();
  const other = g.input("other", "float", [3]);
  const unread = g.Exp(x);
  const loss = g.ReduceSum(y, null, { keepdims: 0 });
  const before = g.graph.nodes.length;
  const [, zeros] = appendGradients(g, loss, [x, other]);
  const backward = g.graph.nodes.slice(before);
  expect(unread.uses).toEqual([]);
  expect(backward.map(({ opType }) => opType)).toEqual([
    "Unsqueeze",
    "Shape",
    "Expand",
    "ReluGrad",
    "Shape",
    "ConstantOfShape",
  ]);
  expect(zeros?.producer?.opType).toBe("ConstantOfShape");
});

test("an operator without a gradient is named with its node", () => {
  const g = createBuilder(new Graph("twice"));
  const x = g.input("x", "float", [2]);
  const loss = g.ReduceSum(
    g.scope("head", () => g.ReluGrad(x, x)),
    null,
    { keepdims: 0 },
  );
  expect(() => appendGradients(g, loss, [x])).toThrow("ReluGrad at head/ReluGrad_0 has no gradient");
});

test("inputs that do not fit are refused with the node's path and the types", () => {
  const { g, x } = small();
  const w = g.input("w", "float", [3, 4]);
  expect(() => g.scope("fc", () => g.MatMul(x, w))).toThrow(
    "MatMul at fc/MatMul_0: inner dimensions 2 and 3 differ (inputs: float[batch, 2], float[3, 4])",
  );
});

test("the checker accepts what the builder makes and refuses each way to break it, with the node's path", () => {
  const whole = small();
  whole.g.output(whole.y, "y");
  checkGraph(whole.g.graph);
  checkGraph(trainingModel(tinySettings()).graph);

  const unordered = small();
  unordered.g.output(unordered.y, "y");
  unordered.g.graph.nodes.reverse();
  expect(() => checkGraph(unordered.g.graph)).toThrow(
    "Relu at head/Relu_0: input 0 (unnamed) is not made before it is read",
  );

  const twins = small();
  twins.g.node("Relu", [twins.sum], {}, "head/Relu_0");
  expect(() => checkGraph(twins.g.graph)).toThrow("two nodes are named head/Relu_0");

  const names = small();
  names.g.output(names.y, "x");
  expect(() => checkGraph(names.g.graph)).toThrow("two values named x");

  const wrongType = small();
  wrongType.g.graph.nodes.push(new Node("Relu", "head/wrong", [wrongType.x], {}, [tensorType("float", [7])]));
  expect(() => checkGraph(wrongType.g.graph)).toThrow(
    "Relu at head/wrong: output 0 is float[7], its operator makes float[batch, 2]",
  );

  const missing = small();
  missing.g.graph.nodes.push(
    new Node("Cast", "head/Cast_0", [missing.x], {} as { to: number; saturate: number; round_mode: string }, [
      tensorType("float", ["batch", 2]),
    ]),
  );
  expect(() => checkGraph(missing.g.graph)).toThrow("Cast at head/Cast_0: attribute to is missing");

  const foreign = small();
  foreign.g.graph.outputs.push(new Value(tensorType("float", [1]), { name: "nothing" }));
  expect(() => checkGraph(foreign.g.graph)).toThrow("nothing in the graph makes the output nothing");

  const unlisted = small();
  unlisted.x.uses.length = 0;
  expect(() => checkGraph(unlisted.g.graph)).toThrow(
    "Add at head/Add_0: input 0 does not list the node among its uses",
  );
});

test("a file read and written again is the same file", () => {
  const { graph } = trainingModel(tinySettings());
  const model = createModel(graph, { docString: "words", metadataProps: { key: "value" } });
  const bytes = encodeModel(model);
  const read = decodeModel(bytes, "file", { functions: shakeNetFunctions });
  expect(read).toMatchObject({
    irVersion: 8,
    opset: 17,
    producerName: "shakenet",
    docString: "words",
    metadataProps: { key: "value" },
  });
  checkGraph(read.graph);
  expect(encodeModel(read)).toEqual(bytes);
  expect(printGraph(read.graph)).toBe(printGraph(graph));
});

test("bytes that are no model are refused in one sentence that names the file", () => {
  const bytes = encodeModel(createModel(trainingModel(tinySettings()).graph));
  for (const broken of [
    bytes.subarray(0, 999),
    new Uint8Array(0),
    Uint8Array.of(1, 2, 3),
    new TextEncoder().encode("text"),
  ]) {
    expect(() => decodeModel(broken, "broken.onnx")).toThrow(
      /^broken\.onnx (is not an ONNX model|cannot be used: )/,
    );
  }
});

test("a rewrite keeps names and results' types and drops what no output needs", () => {
  const { g, x, y } = small();
  g.Exp(x);
  g.output(y, "y");
  const rewritten = rewriteGraph(g.graph, (node, inputs, builder) => {
    const [input] = inputs;
    return node.opType === "Relu" && input ? [builder.Max(input, builder.constant(floats(0)))] : undefined;
  });
  checkGraph(rewritten);
  expect(rewritten.nodes.map(({ name }) => name)).toEqual(["head/Add_0", "head/Relu_0/Max_0"]);
  expect(rewritten.outputs.map(({ name }) => name)).toEqual(["y"]);
});
