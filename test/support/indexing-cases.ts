import { type OperatorCase, of } from "./elementwise-cases.ts";
import { distinct, integers, normal, positive } from "./random-tensor.ts";

/** Cases of operators that take and put elements at places that are inputs. */
export const indexingCases: readonly OperatorCase[] = [
  of("Unique", "sorted elements", { X: distinct([3, 4]) }, (g, { X }) => g.Unique(X)[0]),
  of(
    "Unique",
    "columns in their order",
    { X: distinct([2, 4, 3]) },
    (g, { X }) => g.Unique(X, { axis: 1, sorted: 0 })[0],
  ),
  of("Gather", "one index", { X: normal([3, 4, 2]) }, (g, { X }) => g.Gather(X, g.int64(-3), { axis: 1 })),
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
    g.Gather(X, g.int64([2])),
  ),
  of(
    "Gather",
    "symbolic indices before two symbolic axes",
    { X: normal([4, "batch", "batch"]), i: integers([0, 3, 3], ["batch"]) },
    (g, { X, i }) => g.Gather(X, i),
  ),
  of(
    "GatherElements",
    "repeated and negative indices",
    { X: normal([2, 3]), i: integers([0, 2, 0, -1, 1, 1, 1, 2], [2, 4]) },
    (g, { X, i }) => g.GatherElements(X, i, { axis: -1 }),
  ),
  of("GatherND", "elements", { X: normal([2, 3]), i: integers([0, 2, 1, -1, 0, 2], [3, 2]) }, (g, { X, i }) =>
    g.GatherND(X, i),
  ),
  of("GatherND", "rows", { X: normal([2, "batch"]), i: integers([1, 0, 1], ["batch", 1]) }, (g, { X, i }) =>
    g.GatherND(X, i),
  ),
  of(
    "GatherND",
    "two batch axes",
    { X: normal(["batch", 2, 4]), i: integers([0, 3, 1, 1, 2, 2], ["batch", 2, 1]) },
    (g, { X, i }) => g.GatherND(X, i, { batch_dims: 2 }),
  ),
  ...(["none", "add", "mul", "max", "min"] as const).flatMap((reduction) => [
    of(
      "ScatterElements",
      reduction,
      {
        X: distinct([3, 3]),
        U: distinct([2, 3]),
        i: integers(reduction === "none" ? [0, 1, 2, 1, 2, 0] : [0, 1, 2, 0, 2, 2], [2, 3]),
      },
      (g, { X, U, i }) => g.ScatterElements(X, i, g.Add(U, g.float(0.025)), { reduction }),
    ),
    of(
      "ScatterND",
      `${reduction} of rows`,
      { X: distinct([3, 2]), U: distinct([2, 2]), i: integers([2, 0], [2, 1]) },
      (g, { X, U, i }) => g.ScatterND(X, i, g.Add(U, g.float(0.025)), { reduction }),
    ),
  ]),
  of(
    "ScatterElements",
    "mul by zeros",
    { X: positive([4]), U: positive([4]), i: integers([0, 0, 1, 2]) },
    (g, { X, U, i }) =>
      g.ScatterElements(g.Mul(X, g.float([1, 1, 0, 1])), i, g.Mul(U, g.float([0, 1, 1, 0])), {
        reduction: "mul",
      }),
    { tolerance: 1e-2 },
  ),
  of("OneHot", "values", { i: integers([0, 2, 1], ["batch"]), v: normal([2]) }, (g, { i, v }) =>
    g.OneHot(i, g.int64([3]), v, { axis: 0 }),
  ),
  of("TopK", "the largest", { X: distinct(["batch", 5]) }, (g, { X }) => g.TopK(X, g.int64([2]))[0]),
  of(
    "TopK",
    "the smallest, axis 0",
    { X: distinct([4, 2]) },
    (g, { X }) => g.TopK(X, g.int64([3]), { axis: 0, largest: 0 })[0],
  ),
];
