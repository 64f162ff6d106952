import { at, type Builder, type Value } from "../../graph-builder/index.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { integers, normal } from "./random-tensor.ts";

const image = (channels: number, height: number, width = height) =>
  normal(["batch", channels, height, width]);

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
  of("Gather", "one index", { X: normal([3, 4]) }, (g, { X }) => g.Gather(X, g.int64(1))),
  of("Gather", "repeated indices", { X: normal([4, 2]) }, (g, { X }) =>
    g.Gather(X, g.int64([3, 1, 3, 3, -1])),
  ),
  of(
    "Gather",
    "a matrix of indices, axis 1",
    { X: normal(["batch", 4, 2]), i: integers([0, 3, 3, 0, 0, 1], [2, 3]) },
    (g, { X, i }) => g.Gather(X, i, { axis: 1 }),
  ),
  of(
    "Gather",
    "axis -1 behind a symbolic one",
    { X: normal([2, "batch", 4]), i: integers([0, 0, -1]) },
    (g, { X, i }) => g.Gather(X, i, { axis: -1 }),
  ),
  of(
    "Gather",
    "a matrix of indices before a symbolic axis",
    { X: normal([4, "batch"]), i: integers([0, 3, 3, 0], [2, 2]) },
    (g, { X, i }) => g.Gather(X, i),
  ),
  of("Gather", "one index before a symbolic axis", { X: normal([4, "batch"]) }, (g, { X }) =>
    g.Gather(X, g.int64(2)),
  ),
  of("Tile", "two axes", { X: normal([2, 3]) }, (g, { X }) => g.Tile(X, g.int64([3, 2]))),
  of("Tile", "behind a symbolic axis", { X: normal(["batch", 1, 2]) }, (g, { X }) =>
    g.Tile(X, g.int64([1, 4, 2])),
  ),
];

function slice(g: Builder, X: Value, start: number, end: number, axis: number, step: number): Value {
  return g.Slice(X, g.int64([start]), g.int64([end]), g.int64([axis]), g.int64([step]));
}
