import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import {
  at,
  type Builder,
  createBuilder,
  createModel,
  decodeModel,
  defineFunction,
  detach,
  encodeModel,
  floats,
  Graph,
  gradients,
  type Model,
  printGraph,
  type Tensor,
  tensorType,
  type Value,
} from "../../../graph-builder/index.ts";
import { fromOrtTensor, toOrtTensor } from "../../../runtime/device/tensors.ts";
import { normal } from "../../support/random-tensor.ts";

/** Runs a model's file on plain ONNX Runtime. */
async function run(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, number[]>> {
  const session = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3 });
  const results = await session.run(
    Object.fromEntries(session.inputNames.map((name) => [name, toOrtTensor(given(feeds, name), ort)])),
  );
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, tensor]) => [name, fromOrtTensor(tensor).numbers()]),
  );
}

function given<T>(table: Readonly<Record<string, T>>, name: string): T {
  const value = table[name];
  if (value === undefined) throw new Error(`there is no ${name}`);
  return value;
}

/** x and a weight inside the file -> hidden -> y [batch, 3], and a mean. */
function network(): Model {
  const g = createBuilder(new Graph("network"));
  const x = g.input("x", "float", ["batch", 4]);
  const weight = g.constant(normal([4, 5]).tensor, "weight");
  const hidden = g.Tanh(g.MatMul(x, weight));
  hidden.name = "hidden";
  const y = g.output(g.Sigmoid(g.MatMul(hidden, g.constant(normal([5, 3]).tensor, "head"))), "y");
  g.output(g.ReduceMean(g.Mul(y, y), { keepdims: 0 }), "mean");
  g.output(g.ArgMax(y, { axis: 1 }), "best");
  return decodeModel(encodeModel(createModel(g.graph, { opset: 13, docString: "a network" })));
}

const x = normal(["batch", 4]).tensor;

/** The derivative of a function along a direction, by central differences. */
async function along(
  from: Tensor,
  direction: Tensor,
  f: (moved: Tensor) => Promise<number>,
): Promise<number> {
  const step = 2 ** -6;
  const moved = (sign: number) =>
    floats(
      from.numbers().map((value, i) => value + sign * step * at(direction.numbers(), i)),
      from.dims,
    );
  return ((await f(moved(1))) - (await f(moved(-1)))) / (2 * step);
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * at(b, i), 0);

test("the gradient of an output with respect to an input agrees with central differences", async () => {
  const model = network();
  const direction = normal(["batch", 4]).tensor;
  const mean = async (moved: Tensor) => at(given(await run(model, { x: moved }), "mean"), 0);
  const { x_grad, ...rest } = await run(gradients(model, ["mean"], ["x"]), { x });
  expect(rest).toEqual({});
  const numeric = await along(x, direction, mean);
  expect(dot(x_grad ?? [], direction.numbers())).toBeCloseTo(numeric, 3);
});

test("a given gradient of the output chooses what is differentiated; inner values and weights may be asked for", async () => {
  const model = network();
  const pulled = gradients(model, ["y"], ["hidden", "weight", "x"], {
    gradOutputs: true,
    additionalOutputs: ["hidden", "y"],
  });
  expect(pulled.graph.inputs.map(({ name }) => name)).toEqual(["x", "y_grad"]);
  const names = ["hidden_grad", "weight_grad", "x_grad", "hidden", "y"];
  expect(pulled.graph.outputs.map(({ name }) => name)).toEqual(names);
  // row 1, component 2
  const y_grad = floats([0, 0, 0, 0, 0, 1, 0, 0, 0], [3, 3]);
  const results = await run(pulled, { x, y_grad });
  const direction = normal(["batch", 4]).tensor;
  const numeric = await along(x, direction, async (moved) =>
    at(given(await run(model, { x: moved }), "y"), 5),
  );
  expect(dot(given(results, "x_grad"), direction.numbers())).toBeCloseTo(numeric, 3);
  // only row 1 matters, and d weight = x' d(x weight), with d(x weight) = d hidden (1 - hidden^2)
  const hidden = given(results, "hidden");
  const dHidden = given(results, "hidden_grad");
  expect(dHidden.filter((value, i) => value !== 0 && Math.floor(i / 5) !== 1)).toEqual([]);
  const outer = Array.from({ length: 20 }, (_, i) => {
    const [row, column] = [Math.floor(i / 5), i % 5];
    return at(x.numbers(), 4 + row) * at(dHidden, 5 + column) * (1 - at(hidden, 5 + column) ** 2);
  });
  for (const [i, value] of given(results, "weight_grad").entries())
    expect(value).toBeCloseTo(at(outer, i), 6);
});

test("without given gradients the outputs are summed, one that the other is made of among them", async () => {
  const model = network();
  const [both, y, mean] = await Promise.all(
    [["y", "mean"], ["y"], ["mean"]].map(async (outputs) =>
      given(await run(gradients(model, outputs, ["x"]), { x }), "x_grad"),
    ),
  );
  for (const [i, value] of (both ?? []).entries())
    expect(value).toBeCloseTo(at(y ?? [], i) + at(mean ?? [], i), 6);
});

test("the source stays as it was, and a file's doc string and newer opset go along", () => {
  const model = network();
  const before = printGraph(model.graph);
  const result = gradients({ ...model, opset: 18 }, ["mean"], ["x"]);
  expect(printGraph(model.graph)).toBe(before);
  expect(result).toMatchObject({ docString: "a network", opset: 18 });
});

test("a value may be given itself, where a graph has no names; a value that nothing depends on has 0", async () => {
  const g = createBuilder(new Graph("inner"));
  const [a, b] = [g.input("a", "float", [2]), g.input("b", "float", [3])];
  const square = g.Mul(a, a);
  const y = g.Exp(square);
  const model = gradients(g.graph, [y], [square, b]);
  const results = await run(model, { a: floats([1, -0.5]), b: floats([1, 2, 3]) });
  expect(results["b_grad"]).toEqual([0, 0, 0]);
  const exact = [Math.E, Math.exp(0.25)];
  for (const [i, value] of given(results, "Mul_0_grad").entries()) expect(value).toBeCloseTo(at(exact, i), 5);
  const stranger = createBuilder(new Graph("other")).input("z", "float", []);
  expect(() => gradients(g.graph, [y], [stranger])).toThrow("the graph inner has no such value z");
});

test("a gradient whose name is taken gets a number", async () => {
  const g = createBuilder(new Graph("taken"));
  const [a, other] = [g.input("x", "float", [2]), g.input("x_grad", "float", [2])];
  g.output(g.Mul(a, other), "y");
  const results = await run(gradients(g.graph, ["y"], ["x"]), {
    x: floats([1, 2]),
    x_grad: floats([3, 4]),
  });
  expect(results).toEqual({ x_grad_1: [3, 4] });
});

test("half and double precision have gradients of their type", async () => {
  for (const elemType of ["float16", "double"] as const) {
    const g = createBuilder(new Graph(elemType));
    const [a, b] = [g.input("a", elemType, [2]), g.input("b", elemType, [2])];
    g.output(g.Mul(a, b), "y");
    const { graph } = gradients(g.graph, ["y"], ["a", "b"]);
    expect(graph.outputs.map((value) => value.elemType)).toEqual([elemType, elemType]);
    const session = await ort.InferenceSession.create(encodeModel(createModel(graph)));
    await session.release();
  }
});

test("values that are not there, or have no gradients, are refused by name", () => {
  const g = createBuilder(new Graph("classifier"));
  const images = g.input("images", "uint8", ["batch", 4]);
  const floating = g.Cast(images, { to: 1 });
  floating.name = "pixels";
  g.output(g.Mul(floating, g.float(2)), "scores");
  g.output(g.ArgMax(floating, { axis: 1 }), "best");
  const refused = (outputs: string[], targets: string[]) => () => gradients(g.graph, outputs, targets);
  expect(refused(["score"], ["pixels"])).toThrow("The model has no value score. Did you mean scores?");
  expect(refused(["scores"], ["nothing like it"])).toThrow(
    "The model has no value nothing like it. Its inputs are images.",
  );
  expect(refused(["best"], ["pixels"])).toThrow("best is int64[batch, 1] and has no gradient.");
  expect(refused(["scores"], ["images"])).toThrow(
    "images is uint8[batch, 4] and has no gradient, but pixels, which a Cast makes of it, has one.",
  );
});

test.each([
  [
    "gradients takes a Model or a Graph, not the bytes of a file: decodeModel reads them.",
    [new Uint8Array(8), ["y"], ["x"]],
  ],
  ['outputs must be a list of names or values, not "y".', [new Graph("g"), "y", ["x"]]],
  ["withRespectTo must be a list of names or values, not [].", [new Graph("g"), ["y"], []]],
  [
    "additionalOutputs must be a list of names or values, not [5].",
    [new Graph("g"), ["y"], ["x"], { additionalOutputs: [5] }],
  ],
])("what gradients cannot take is refused in one sentence: %s", (message, given) => {
  expect(() => Reflect.apply(gradients, undefined, given)).toThrow(
    expect.objectContaining({ name: "UserError", message }),
  );
});

/** x * constant(x): the derivative is x, and 2x where nothing is detached. */
function product(g: Builder, x: Value): Value {
  return g.Mul(x, detach(g, x));
}

test("no gradient passes detach: built, read from a file, and inside a function", async () => {
  const g = createBuilder(new Graph("detached"));
  const a = g.input("x", "float", [2]);
  g.output(product(g, a), "y");
  const read = decodeModel(encodeModel(createModel(g.graph)));
  const definition = defineFunction({
    domain: "com.example",
    name: "Product",
    inputs: [["x", tensorType("float", ["..."])]],
    outputs: [["y", tensorType("float", ["..."])]],
    body: (h, [value]) => [product(h, value)],
  });
  const calling = createBuilder(new Graph("calling"));
  calling.output(calling.call(definition, [calling.input("x", "float", [2])]), "y");
  for (const source of [createModel(g.graph), read, createModel(calling.graph)]) {
    expect(await run(source, { x: floats([3, -2]) })).toEqual({ y: [9, 4] });
    expect(await run(gradients(source, ["y"], ["x"]), { x: floats([3, -2]) })).toEqual({ x_grad: [3, -2] });
  }
});
