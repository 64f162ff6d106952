import { at, type Builder, type Value } from "../../graph-builder/index.ts";
import { tensorOf } from "../../graph-builder/tensor.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { integers, normal, positive } from "./random-tensor.ts";

const image = (channels: number, height: number, width = height) =>
  normal(["batch", channels, height, width]);

const int32 = (g: Builder, numbers: readonly number[]) => g.constant(tensorOf("int32", numbers));

/** Cases of operators that move elements. */
export const placeCases: readonly OperatorCase[] = [
  of("Reshape", "to a constant", { X: normal([2, 6]) }, (g, { X }) => g.Reshape(X, g.int64([3, -1]))),
  of("Reshape", "symbolic batch", { X: normal(["batch", 6]) }, (g, { X }) =>
    g.Reshape(X, g.int64([0, 2, 3])),
  ),
  of("Flatten", "axis 1", { X: image(2, 2) }, (g, { X }) => g.Flatten(X)),
  of("Flatten", "axis -1", { X: image(2, 2) }, (g, { X }) => g.Flatten(X, { axis: -1 })),
  of("Flatten", "axis 0", { X: image(2, 2) }, (g, { X }) => g.Flatten(X, { axis: 0 })),
  of("Squeeze", "two axes", { X: normal(["batch", 1, 2, 1]) }, (g, { X }) => g.Squeeze(X, g.int64([1, -1]))),
  of("Unsqueeze", "two axes", { X: normal(["batch", 2]) }, (g, { X }) => g.Unsqueeze(X, g.int64([0, -1]))),
  of("Unsqueeze", "of no rows in a run", { X: normal(["batch", 2]) }, (g, { X }) => {
    const none = g.Slice(X, g.int64([3]), g.int64([3]), g.int64([0]));
    const sum = (value: Value) => g.ReduceSum(value, null, { keepdims: 0 });
    return g.Add(sum(g.Unsqueeze(none, g.int64([0]))), sum(X));
  }),
  of("Transpose", "a cycle", { X: normal(["batch", 2, 4]) }, (g, { X }) =>
    g.Transpose(X, { perm: [1, 2, 0] }),
  ),
  of("Transpose", "reversed", { X: normal(["batch", 2, 4]) }, (g, { X }) => g.Transpose(X)),
  of("Concat", "axis 1", { A: normal(["batch", 2]), B: normal(["batch", 3]) }, (g, { A, B }) =>
    g.Concat(A, B, A, { axis: 1 }),
  ),
  of("Concat", "axis -2", { A: normal([1, 2]), B: normal([4, 2]) }, (g, { A, B }) =>
    g.Concat(A, B, { axis: -2 }),
  ),
  of("Split", "all parts", { X: normal(["batch", 6]) }, (g, { X }) =>
    g.Split(X, g.int64([1, 3, 2]), { axis: 1 }),
  ),
  of("Split", "one part of three", { X: normal(["batch", 6]) }, (g, { X }) =>
    at(g.Split(X, g.int64([1, 3, 2]), { axis: -1 }), 1),
  ),
  of("Slice", "one axis", { X: normal(["batch", 6]) }, (g, { X }) =>
    g.Slice(X, g.int64([1]), g.int64([-1]), g.int64([1])),
  ),
  of("Slice", "without axes", { X: normal([4, 6]) }, (g, { X }) =>
    g.Slice(X, g.int64([1, 2]), g.int64([3, 100])),
  ),
  of("Slice", "step 2", { X: normal(["batch", 7, 2]) }, (g, { X }) => slice(g, X, 1, 6, 1, 2)),
  of("Slice", "step 3 before a symbolic axis", { X: normal([7, "batch"]) }, (g, { X }) =>
    slice(g, X, 1, 7, 0, 3),
  ),
  of("Slice", "step -1", { X: normal(["batch", 5]) }, (g, { X }) => slice(g, X, -1, -6, 1, -1)),
  of("Slice", "step -2", { X: normal(["batch", 6]) }, (g, { X }) => slice(g, X, 4, -100, -1, -2)),
  of("Slice", "two axes, steps 2 and -3", { X: normal(["batch", 5, 8]) }, (g, { X }) =>
    g.Slice(X, g.int64([0, 6]), g.int64([5, 0]), g.int64([1, 2]), g.int64([2, -3])),
  ),
  of("Slice", "of one element, step 4", { X: normal([2, 5]) }, (g, { X }) => slice(g, X, 2, 5, 1, 4)),
  of("Pad", "before and behind", { X: normal(["batch", 3]) }, (g, { X }) => g.Pad(X, g.int64([0, 2, 0, 1]))),
  of("Pad", "negative", { X: normal(["batch", 5]) }, (g, { X }) =>
    g.Pad(X, g.int64([0, -2, 0, 1]), g.float(3)),
  ),
  of("Expand", "a new axis and a 1", { X: normal([1, 3]) }, (g, { X }) => g.Expand(X, g.int64([2, 4, 3]))),
  of(
    "Expand",
    "to a value's shape",
    { X: normal([1, 3]), Y: normal(["batch", 3]) },
    (g, { X, Y }) => g.Expand(X, g.Shape(Y)),
    { targets: ["X"] },
  ),
  of("Tile", "two axes", { X: normal([2, 3]) }, (g, { X }) => g.Tile(X, g.int64([3, 2]))),
  of("Tile", "behind a symbolic axis", { X: normal(["batch", 1, 2]) }, (g, { X }) =>
    g.Tile(X, g.int64([1, 4, 2])),
  ),
  of("Concat", "a symbolic axis", { A: normal(["batch", 2]), B: normal(["batch", 2]) }, (g, { A, B }) =>
    g.Concat(A, B, { axis: 0 }),
  ),
  of("Slice", "a symbolic axis from 1 on", { X: normal([2, "batch"]) }, (g, { X }) =>
    slice(g, X, 1, 2 ** 40, 1, 1),
  ),
  of("Slice", "the last of a symbolic axis", { X: normal(["batch", 2]) }, (g, { X }) =>
    g.Slice(X, g.int64([-1]), g.int64([2 ** 40]), g.int64([0])),
  ),
  of("Slice", "more from the end than a symbolic axis has", { X: normal([2, "batch", 2]) }, (g, { X }) =>
    slice(g, X, -5, 2 ** 40, 1, 1),
  ),
  of("Slice", "from further than a symbolic axis reaches", { X: normal(["batch"]) }, (g, { X }) =>
    slice(g, X, -5, -1, 0, 1),
  ),
  of(
    "Slice",
    "as many from the end as another value has",
    { X: normal([2, "height"]), Y: normal(["batch"]) },
    (g, { X, Y }) => g.Slice(X, g.Neg(g.Shape(Y)), g.int64([2 ** 40]), g.int64([1])),
    { targets: ["X"] },
  ),
  of(
    "Slice",
    "without as many at the end as another value has",
    { X: normal([2, "height"]), Y: normal(["batch"]) },
    (g, { X, Y }) => g.Slice(X, g.int64([1]), g.Neg(g.Shape(Y)), g.int64([1])),
    { targets: ["X"] },
  ),
  of("Slice", "a symbolic axis without its last, and a plain one", { X: normal(["batch", 4]) }, (g, { X }) =>
    g.Slice(X, g.int64([0, 1]), g.int64([-1, 3]), g.int64([0, 1])),
  ),
  of("Slice", "places that are int32, over a symbolic axis", { X: normal([2, "batch"]) }, (g, { X }) =>
    g.Slice(X, int32(g, [1]), int32(g, [2 ** 30]), int32(g, [1])),
  ),
  of("Slice", "to a computed end", { X: normal(["batch", 2]) }, (g, { X }) =>
    g.Slice(X, g.int64([0]), g.Sub(g.Shape(X, { end: 1 }), g.int64([1]))),
  ),
  of("Pad", "a computed value", { X: normal(["batch", 3]), v: normal([]) }, (g, { X, v }) =>
    g.Pad(X, g.int64([1, -1, 0, 2]), v),
  ),
  of("Pad", "computed pads", { X: normal([2, "batch"]) }, (g, { X }) => {
    const size = g.Shape(X, { start: 1 });
    return g.Pad(X, g.Concat(g.int64([1, 0, 0]), g.Sub(g.int64([8]), size), { axis: 0 }));
  }),
  ...(["reflect", "edge", "wrap"] as const).map((mode) =>
    of("Pad", mode, { X: normal(["batch", 4, 3]) }, (g, { X }) =>
      g.Pad(X, g.int64([0, 3, 1, 0, 2, -1]), null, { mode }),
    ),
  ),
  of("Trilu", "upper", { X: normal(["batch", 3, 4]) }, (g, { X }) => g.Trilu(X)),
  of("Trilu", "lower from a diagonal on", { X: normal([4, 3]) }, (g, { X }) =>
    g.Trilu(X, g.int64(-1), { upper: 0 }),
  ),
  ...(["DCR", "CRD"] as const).map((mode) =>
    of("DepthToSpace", mode, { X: normal(["batch", 8, 2, 3]) }, (g, { X }) =>
      g.DepthToSpace(X, { blocksize: 2, mode }),
    ),
  ),
  of("SpaceToDepth", "", { X: normal(["batch", 2, 4, 6]) }, (g, { X }) =>
    g.SpaceToDepth(X, { blocksize: 2 }),
  ),
  of("SpaceToDepth", "a picture of open size", { X: normal(["batch", 2, "steps", "width"]) }, (g, { X }) =>
    g.SpaceToDepth(X, { blocksize: 2 }),
  ),
  of(
    "ReverseSequence",
    "",
    { X: normal([4, "batch", 2]), lengths: integers([1, 4, 3], ["batch"]) },
    (g, { X, lengths }) => g.ReverseSequence(X, lengths),
  ),
  of("Range", "computed start and step", { a: positive([]), b: positive([]) }, (g, { a, b }) => {
    const row = g.Range(g.float(0), g.float(4), g.float(1));
    return g.Add(g.Mul(row, b), a);
  }),
];

function slice(g: Builder, X: Value, start: number, end: number, axis: number, step: number): Value {
  return g.Slice(X, g.int64([start]), g.int64([end]), g.int64([axis]), g.int64([step]));
}
