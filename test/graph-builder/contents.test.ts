import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  elementCount,
  Graph,
  shapeOf,
  type Value,
} from "../../graph-builder/index.ts";
import { floats, int64s, Tensor } from "../../graph-builder/tensor.ts";
import { normal, symbols } from "../support/random-tensor.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";

type Case = readonly [
  title: string,
  build: (g: Builder, X: Value) => Value,
  contents: readonly (number | string)[],
];

const images = (g: Builder, X: Value) => g.Gather(g.Shape(X), g.int64(0));

/** What is missing to fours of images. */
function fill(g: Builder, X: Value): Value {
  const fours = g.Div(g.Add(images(g, X), g.int64(3)), g.int64(4));
  return g.Sub(g.Mul(fours, g.int64(4)), images(g, X));
}

/** X is float [batch, 6, 4]. */
const known: readonly Case[] = [
  ["Shape", (g, X) => g.Shape(X), ["batch", 6, 4]],
  ["Shape of some axes", (g, X) => g.Shape(X, { start: -2, end: 2 }), [6]],
  ["Size", (g, X) => g.Size(X), ["24*batch"]],
  ["Gather", (g, X) => g.Gather(g.Shape(X), g.int64([-1, 0])), [4, "batch"]],
  ["Gather of one", (g, X) => g.Gather(g.Shape(X), g.int64(0)), ["batch"]],
  ["Slice", (g, X) => g.Slice(g.Shape(X), g.int64([1]), g.int64([100])), [6, 4]],
  [
    "Concat",
    (g, X) => g.Concat(g.Gather(g.Shape(X), g.int64([0])), g.int64([2, -1]), { axis: 0 }),
    ["batch", 2, -1],
  ],
  [
    "Unsqueeze and Squeeze",
    (g, X) => g.Unsqueeze(g.Squeeze(g.Shape(X, { start: 1, end: 2 }), g.int64([0])), g.int64([0])),
    [6],
  ],
  ["Cast", (g, X) => g.Cast(g.Shape(X), { to: 6 }), ["batch", 6, 4]],
  [
    "Cast to truth values and back",
    (g) => g.Cast(g.Cast(g.int64([5, 0, -1]), { to: 9 }), { to: 7 }),
    [1, 0, 1],
  ],
  ["Cast of fractions", (g) => g.Cast(g.float([2.75, -2.75]), { to: 7 }), [2, -2]],
  [
    "Cast to halves and back",
    (g) => g.Cast(g.Cast(g.float([2049, 0.5]), { to: 10 }), { to: 1 }),
    [2048, 0.5],
  ],
  ["Identity and Reshape", (g, X) => g.Reshape(g.Identity(g.Shape(X)), g.int64([1, 3])), ["batch", 6, 4]],
  ["Mul", (g, X) => g.Mul(g.Shape(X), g.int64([2])), ["2*batch", 12, 8]],
  [
    "Mul of symbols",
    (g, X) => g.Mul(g.Shape(X), g.Gather(g.Shape(X), g.int64([0]))),
    ["batch*batch", "6*batch", "4*batch"],
  ],
  ["Div", (g, X) => g.Div(g.Size(X), g.int64(8)), ["3*batch"]],
  ["Div rounds towards zero", (g, X) => g.Div(g.Shape(X, { start: 1 }), g.int64([-4])), [-1, -1]],
  [
    "Add and Sub of numbers",
    (g, X) => g.Sub(g.Add(g.Shape(X, { start: 1 }), g.int64([3])), g.int64([1])),
    [8, 6],
  ],
  ["Add to a symbol", (g, X) => g.Add(g.Shape(X), g.int64([3])), ["batch+3", 9, 7]],
  [
    "Div that rounds a symbol up",
    (g, X) => g.Div(g.Add(images(g, X), g.int64(3)), g.int64(4)),
    ["ceil(batch/4)"],
  ],
  ["Sub and Add back", (g, X) => g.Add(fill(g, X), images(g, X)), ["4*ceil(batch/4)"]],
  [
    "a product with a difference of symbols",
    (g, X) => g.Add(g.Mul(fill(g, X), g.int64(2)), g.Size(X)),
    ["22*batch+8*ceil(batch/4)"],
  ],
  ["Add of symbols", (g, X) => g.Add(g.Size(X), g.Shape(X)), ["25*batch", "24*batch+6", "24*batch+4"]],
  ["Sub of equals", (g, X) => g.Sub(g.Shape(X), g.Shape(X)), [0, 0, 0]],
  ["Neg", (g, X) => g.Neg(g.Shape(X, { start: 1 })), [-6, -4]],
  ["Mod", (g, X) => g.Mod(g.Shape(X, { start: 1 }), g.int64([4])), [2, 0]],
  [
    "Equal and Where, as exporters write Expand",
    (g, X) => {
      const wanted = g.int64([-1, 6, -1]);
      const ones = g.ConstantOfShape(g.int64([3]), { value: int64s([1]) });
      return g.Where(g.Equal(wanted, g.Mul(ones, g.int64([-1]))), ones, g.Shape(X));
    },
    [1, 6, 1].map((one, i) => (i === 1 ? 6 : one)),
  ],
  ["ConstantOfShape", (g, X) => g.ConstantOfShape(g.Shape(g.Shape(X)), { value: int64s([7]) }), [7, 7, 7]],
  [
    "Concat of columns, as ONNX Runtime's autodiff writes Tile's",
    (g, X) => {
      const column = (dims: Value) => g.Unsqueeze(dims, g.int64([1]));
      const rows = g.Concat(column(g.int64([1, 2, 3])), column(g.Shape(X)), { axis: -1 });
      return g.Reshape(rows, g.int64([-1]));
    },
    [1, "batch", 2, 6, 3, 4],
  ],
  ["Expand", (g) => g.Expand(g.int64([5]), g.int64([3])), [5, 5, 5]],
];

function open(): [Builder, Value] {
  const g = createBuilder(new Graph("shapes"));
  return [g, g.input("X", "float", ["batch", 6, 4])];
}

test.each(known)("%s is followed, and ONNX Runtime computes the same", async (_, build, contents) => {
  const [g, X] = open();
  const value = build(g, X);
  expect(value.contents).toEqual(shapeOf(contents));
  const isBool = value.elemType === "bool";
  g.output(isBool ? g.Cast(value, { to: 7 }) : value, "y");
  const expected = (value.contents ?? []).map((dim) => elementCount([dim], symbols));
  expect(numbersOf(await runGraph(g.graph, { X: normal(["batch", 6, 4]).tensor }), "y")).toEqual(expected);
});

test.each<readonly [string, (g: Builder, X: Value) => Value]>([
  ["data", (g, X) => g.Cast(X, { to: 7 })],
  ["a comparison with a symbol", (g, X) => g.Equal(g.Shape(X), g.int64([3]))],
  ["a comparison with a difference of symbols", (g, X) => g.Equal(fill(g, X), g.int64(-1))],
  ["whether a symbol is other than 0", (g, X) => g.Cast(g.Shape(X), { to: 9 })],
  ["a number that its type does not hold", (g) => g.Cast(g.int64([-1]), { to: 2 })],
  ["a symbol that may not divide", (g, X) => g.Div(g.Shape(X), g.int64([5]))],
  ["division by zero", (g, X) => g.Div(g.Shape(X), g.int64([0]))],
  ["floats", (g) => g.Add(g.float([1]), g.float([2]))],
  [
    "a choice that is broadcast",
    (g) => {
      const rows = g.constant(new Tensor("bool", [2, 1], Uint8Array.of(1, 0)));
      return g.Where(rows, g.int64([1, 2]), g.int64([3, 4]));
    },
  ],
  ["a constant too large for a shape", (g) => g.constant(int64s(Array(100).fill(1)))],
  ["what has a symbolic number of elements", (g, X) => g.Expand(g.int64([5]), g.Shape(X))],
])("%s is not known", (_, build) => {
  expect(build(...open()).contents).toBeUndefined();
});

test("a shape that is computed types what is reshaped, expanded and summed by it", () => {
  const [g, X] = open();
  const batch = g.Gather(g.Shape(X), g.int64([0]));
  expect(g.Reshape(X, g.Concat(batch, g.int64([-1]), { axis: 0 })).shape).toEqual(shapeOf(["batch", 24]));
  expect(g.Expand(g.float([1]), g.Concat(batch, g.int64([2]), { axis: 0 })).shape).toEqual(
    shapeOf(["batch", 2]),
  );
  const [axes] = g.BroadcastGradientArgs(g.Shape(g.float([1, 2, 3, 4])), g.Shape(X));
  expect(g.ReduceSumTraining(X, axes, { keepdims: 0 }).shape).toEqual([4]);
});

test("a shape of unknown length is refused with the node's path", () => {
  const [g, X] = open();
  expect(() => g.scope("head", () => g.Reshape(X, g.Cast(X, { to: 7 })))).toThrow(
    /Reshape at head\/Reshape_0: how many numbers a shape or a list of axes has must be known/,
  );
});

test("a constant's elements are its contents whatever its type", () => {
  const g = createBuilder(new Graph("constants"));
  expect(g.constant(floats([0.5])).contents).toEqual([0.5]);
  expect(g.constant(new Tensor("bool", [2], Uint8Array.of(1, 0))).contents).toEqual([1, 0]);
});

test("two names for one size are taken for one, two numbers are not", () => {
  const g = createBuilder(new Graph("names"));
  const tokens = g.input("tokens", "float", ["8*batch", 20]);
  const labels = g.input("labels", "int64", ["rows"]);
  expect(g.SoftmaxCrossEntropyLoss(tokens, labels)[0].shape).toEqual([]);
  expect(g.Add(tokens, g.input("other", "float", ["rows", 20])).shape).toEqual(shapeOf(["8*batch", 20]));
  expect(g.Add(tokens, g.input("fixed", "float", [16, 20])).shape).toEqual([16, 20]);
  expect(() => g.Add(tokens, g.float(Array(19).fill(0)))).toThrow(/do not broadcast/);
});
