import { type OperatorCase, of } from "./elementwise-cases.ts";
import { distinct, integers, normal, positive } from "./random-tensor.ts";

const reductions = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceSumSquare",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
] as const;

/** Reductions whose axes are an input. */
const reduced: readonly OperatorCase[] = reductions.flatMap((opType) => {
  const X = opType.startsWith("ReduceLog") ? positive(["batch", 2, 4]) : distinct(["batch", 2, 4]);
  return [
    of(opType, "axes of a run", { X, axes: integers([-1, 0]) }, (g, { X, axes }) => g[opType](X, axes)),
    of(opType, "axes of a run, dropped", { X, axes: integers([1]) }, (g, { X, axes }) =>
      g[opType](X, axes, { keepdims: 0 }),
    ),
  ];
});

/** Shapes, pads, places and axes that are inputs. */
const moved: readonly OperatorCase[] = [
  of(
    "Reshape",
    "a shape of a run",
    { X: normal(["batch", 4]), shape: integers([2, -1]) },
    (g, { X, shape }) => g.Reshape(X, shape),
  ),
  of("Expand", "a shape of a run", { X: normal([2, 1]), shape: integers([3, 1, 4]) }, (g, { X, shape }) =>
    g.Expand(X, shape),
  ),
  of(
    "Expand",
    "a shape of a run that has 1 for a symbolic axis",
    { X: normal(["batch", 2]), shape: integers([1, 1]) },
    (g, { X, shape }) => g.Expand(X, shape),
  ),
  of(
    "Add",
    "axes of which only a run tells whether they are 1",
    { X: normal([2, 1, 3]), shape: integers([1, 6]) },
    (g, { X, shape }) => g.Add(g.Reshape(X, shape), g.Reshape(X, g.int64([6, 1]))),
  ),
  of(
    "Add",
    "one axis of size 1, and one of which only a run tells whether it is 1",
    { X: normal(["batch", 2, 3]), Y: normal([1, 2, 5]), to: integers([3]) },
    (g, { X, Y, to }) => g.Add(X, g.Slice(Y, g.int64([0]), to, g.int64([2]))),
  ),
  of(
    "Tile",
    "repeats of a run",
    { X: normal(["batch", 2]), repeats: integers([2, 3]) },
    (g, { X, repeats }) => g.Tile(X, repeats),
  ),
  of(
    "Slice",
    "a range of a run",
    {
      X: normal([4, 5]),
      from: integers([3, -2]),
      to: integers([0, 100]),
      axes: integers([0, 1]),
      by: integers([-2, 1]),
    },
    (g, { X, from, to, axes, by }) => g.Slice(X, from, to, axes, by),
  ),
  of("Slice", "an end of a run", { X: normal(["batch", 5]), to: integers([3]) }, (g, { X, to }) =>
    g.Slice(X, g.int64([1]), to, g.int64([1])),
  ),
  of("Slice", "a symbolic axis backwards", { X: normal(["batch", 2]) }, (g, { X }) =>
    g.Slice(X, g.int64([-1]), g.int64([-(2 ** 40)]), g.int64([0]), g.int64([-1])),
  ),
  ...(["constant", "reflect", "edge", "wrap"] as const).map((mode) =>
    of(
      "Pad",
      `${mode}, pads of a run`,
      { X: normal([4, 3]), pads: integers([2, 1, 1, 2]) },
      (g, { X, pads }) => g.Pad(X, pads, null, { mode }),
    ),
  ),
  of("Pad", "reflect, a symbolic axis", { X: normal(["batch", 2]) }, (g, { X }) =>
    g.Pad(X, g.int64([1, 0, 2, 0]), null, { mode: "reflect" }),
  ),
  of("Squeeze", "axes of a run", { X: normal(["batch", 1, 2]), axes: integers([1]) }, (g, { X, axes }) =>
    g.Squeeze(X, axes),
  ),
  of("Unsqueeze", "axes of a run", { X: normal(["batch", 2]), axes: integers([0, 2]) }, (g, { X, axes }) =>
    g.Unsqueeze(X, axes),
  ),
  of("Split", "sizes of a run", { X: normal([5, 2]), sizes: integers([1, 4]) }, (g, { X, sizes }) => [
    ...g.Split(X, sizes),
  ]),
  of(
    "TopK",
    "a number of a run",
    { X: distinct(["batch", 5]), K: integers([2]) },
    (g, { X, K }) => g.TopK(X, K)[0],
  ),
  of(
    "OneHot",
    "a depth of a run",
    { i: integers([0, 2, 1]), depth: integers([4]), v: normal([2]) },
    (g, { i, depth, v }) => g.OneHot(i, depth, v),
  ),
  of("Resize", "scales of a run", { X: normal(["batch", 2, 3, 4]) }, (g, { X }) => {
    const scales = g.Cast(g.Div(g.int64([7, 7, 14, 14]), g.Size(g.int64([1, 1, 1, 1, 1, 1, 1]))), { to: 1 });
    return g.Resize(X, null, g.Identity(scales), { mode: "linear" });
  }),
  of("Compress", "along an axis", { X: normal(["batch", 4]), i: integers([0, 1, 1, 0]) }, (g, { X, i }) =>
    g.Compress(X, g.Cast(i, { to: 9 }), { axis: 1 }),
  ),
  of("Compress", "of all elements", { X: normal([2, 3]), i: integers([1, 0, 0, 1, 1]) }, (g, { X, i }) =>
    g.Compress(X, g.Cast(i, { to: 9 })),
  ),
];

/** Cases of values that are not known when a graph is built. */
export const runTimeCases: readonly OperatorCase[] = [...reduced, ...moved];
