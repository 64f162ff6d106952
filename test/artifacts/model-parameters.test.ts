import { expect, test } from "vitest";
import { parametersOf } from "../../artifacts/index.ts";
import { type Builder, createBuilder, floats, Graph, Tensor, type Value } from "../../graph-builder/index.ts";
import { weight } from "../support/artifact-models.ts";

/** The parameters of a network over tokens int64 [batch, 5] and x float [batch, 4]. */
function parameters(build: (g: Builder, inputs: { readonly tokens: Value; readonly x: Value }) => Value) {
  const g = createBuilder(new Graph("network"));
  const inputs = {
    tokens: g.input("tokens", "int64", ["batch", 5]),
    x: g.input("x", "float", ["batch", 4]),
  };
  g.output(build(g, inputs), "y");
  return parametersOf(g.graph).map(({ name }) => name);
}

const ones = (count: number) => new Tensor("float", [count], new Float32Array(count).fill(1));

test("a position embedding that is cut to the length of the input is a parameter", () => {
  const found = parameters((g, { tokens }) => {
    const words = g.Gather(weight(g, "words", [9, 4]), tokens);
    const length = g.Slice(g.Shape(tokens), g.int64([1]), g.int64([2]));
    return g.Add(words, g.Slice(weight(g, "position", [7, 4]), g.int64([0]), length, g.int64([0])));
  });
  expect(found).toEqual(["words", "position"]);
});

test("a class token that is expanded to the batch is a parameter", () => {
  const found = parameters((g, { tokens }) => {
    const words = g.Gather(weight(g, "words", [9, 4]), tokens);
    const batch = g.Slice(g.Shape(tokens), g.int64([0]), g.int64([1]));
    const shape = g.Concat(batch, g.int64([1, 4]), { axis: 0 });
    return g.Concat(g.Expand(weight(g, "token", [1, 1, 4]), shape), words, { axis: 1 });
  });
  expect(found).toEqual(["words", "token"]);
});

test("numbers that are multiplied by places, as for an encoding by sines, are no parameters", () => {
  const found = parameters((g, { tokens }) => {
    const words = g.Gather(weight(g, "words", [9, 4]), tokens);
    const places = g.Range(g.int64(0), g.Gather(g.Shape(tokens), g.int64(1)), g.int64(1));
    const distances = g.Unsqueeze(g.Cast(places, { to: 1 }), g.int64([1]));
    return g.Add(words, g.Sin(g.Mul(weight(g, "exp", [4]), distances)));
  });
  expect(found).toEqual(["words"]);
});

test("a position embedding that is resized to the size of the input is a parameter", () => {
  const found = parameters((g, { x }) => {
    const picture = g.Reshape(x, g.int64([-1, 1, 2, 2]));
    const patches = g.Conv(picture, weight(g, "filters", [3, 1, 1, 1]), null);
    const size = g.Concat(g.int64([1, 3]), g.Shape(patches, { start: 2 }), { axis: 0 });
    const position = g.Resize(weight(g, "position", [1, 3, 4, 4]), null, null, size, { mode: "linear" });
    return g.Add(patches, position);
  });
  expect(found).toEqual(["filters", "position"]);
});

test("numbers of the program that are added to a product are no bias of it", () => {
  const found = parameters((g, { x }) => {
    const scores = g.MatMul(x, weight(g, "weight", [4, 4]));
    return g.Add(scores, g.constant(floats([-1e9]), "/Constant_3_output_0"));
  });
  expect(found).toEqual(["weight"]);
});

// names that an exporter made up, so that the place alone tells a bias
test.each([
  ["its channels", "val_1", [3, 1], ["weight", "val_1"]],
  ["another axis", "val_2", [2], ["weight"]],
] as const)("what is added to a product behind a Cast and a Transpose: %s", (_, name, dims, expected) => {
  const found = parameters((g, { x }) => {
    const product = g.MatMul(g.Reshape(x, g.int64([-1, 2, 2])), weight(g, "weight", [2, 3]));
    return g.Add(g.Transpose(g.Cast(product, { to: 1 }), { perm: [0, 2, 1] }), weight(g, name, dims));
  });
  expect(found).toEqual(expected);
});

test.each([
  ["its channels", "val_1", [1, 3, 1, 1], ["filters", "val_1"]],
  ["another axis", "val_2", [2], ["filters"]],
] as const)("what is added to a convolution: %s", (_, name, dims, expected) => {
  const found = parameters((g, { x }) => {
    const image = g.Reshape(x, g.int64([-1, 1, 2, 2]));
    const channels = g.Conv(image, weight(g, "filters", [3, 1, 1, 1]), { kernel_shape: [1, 1] });
    return g.Add(channels, weight(g, name, dims));
  });
  expect(found).toEqual(expected);
});

test("a bias of zeros that the exporter made up is no parameter, and one with a name is", () => {
  const found = parameters((g, { x }) => {
    const hidden = g.Gemm(x, weight(g, "first", [4, 4]), g.constant(floats([0, 0, 0, 0]), "val_5"));
    return g.Gemm(hidden, weight(g, "second", [4, 4]), g.constant(floats([0, 0, 0, 0]), "second.bias"));
  });
  expect(found).toEqual(["first", "second", "second.bias"]);
});

// torch.onnx.export(dynamo=True, optimize=False) writes the bias of a convolution without one so
test("a number that is expanded to a bias, and that the exporter made up, is no parameter", () => {
  const found = parameters((g, { x }) => {
    const bias = (name: string) => g.Expand(g.constant(floats(0, []), name), g.int64([4]));
    const hidden = g.Gemm(x, weight(g, "first", [4, 4]), bias("val_4"));
    return g.Gemm(hidden, weight(g, "second", [4, 4]), bias("shift"));
  });
  expect(found).toEqual(["first", "second", "shift"]);
});

test("what scales and shifts a group normalisation is a parameter, also where the exporter has renamed it", () => {
  const found = parameters((g, { x }) => {
    const image = g.Reshape(g.Gemm(x, weight(g, "weight", [4, 8])), g.int64([0, 2, 4]));
    const made = ["/Constant_1_output_0", "/Constant_2_output_0"].map((name) => g.constant(ones(2), name));
    const [scale = image, shift = image] = made;
    const normalised = g.Reshape(g.InstanceNormalization(image, scale, shift), g.int64([0, 8]));
    return g.Add(g.Mul(normalised, weight(g, "val_22", [8])), weight(g, "val_24", [8]));
  });
  expect(found).toEqual(["weight", "val_22", "val_24"]);
});
