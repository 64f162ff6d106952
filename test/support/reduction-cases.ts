import { type OperatorCase, of } from "./elementwise-cases.ts";
import { apart, distinct, type Input, normal, positive } from "./random-tensor.ts";

const image = (): Input => normal(["batch", 2, 3, 3]);

/** Cases of sums, means and norms over axes. */
export const reductionCases: readonly OperatorCase[] = [
  of("ReduceSum", "all", { X: normal(["batch", 2]) }, (g, { X }) => g.ReduceSum(X)),
  of("ReduceSum", "two axes kept", { X: image() }, (g, { X }) => g.ReduceSum(X, g.int64([0, -1]))),
  of("ReduceSum", "two axes dropped", { X: image() }, (g, { X }) =>
    g.ReduceSum(X, g.int64([0, -1]), { keepdims: 0 }),
  ),
  of("ReduceSum", "no axes means all", { X: normal([2, 3]) }, (g, { X }) =>
    g.ReduceSum(X, g.int64([]), { keepdims: 0 }),
  ),
  of("ReduceSum", "no axes means none", { X: normal([2, 3]) }, (g, { X }) =>
    g.ReduceSum(X, g.int64([]), { noop_with_empty_axes: 1 }),
  ),
  of("ReduceMean", "no axes means all", { X: normal([2, 3]) }, (g, { X }) =>
    g.ReduceMean(X, { axes: [], keepdims: 0 }),
  ),
  of("ReduceMean", "all", { X: normal(["batch", 2]) }, (g, { X }) => g.ReduceMean(X)),
  of("ReduceMean", "two axes kept", { X: image() }, (g, { X }) => g.ReduceMean(X, { axes: [-4, 2] })),
  of("ReduceMean", "two axes dropped", { X: image() }, (g, { X }) =>
    g.ReduceMean(X, { axes: [1, 2], keepdims: 0 }),
  ),
  ...(["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"] as const).flatMap(
    (opType) => [
      of(opType, "all", { X: apart(["batch", 2]) }, (g, { X }) => g[opType](X)),
      of(opType, "two axes kept", { X: apart([2, 2, 3, 3]) }, (g, { X }) => g[opType](X, { axes: [-4, 2] })),
      of(opType, "two axes dropped", { X: apart(["batch", 2, 3, 3]) }, (g, { X }) =>
        g[opType](X, { axes: [1, 2], keepdims: 0 }),
      ),
    ],
  ),
  ...(["ReduceMax", "ReduceMin"] as const).flatMap((opType) => [
    of(opType, "two axes kept", { X: distinct(["batch", 2, 3]) }, (g, { X }) =>
      g[opType](X, { axes: [0, -1] }),
    ),
    of(opType, "one axis dropped", { X: distinct(["batch", 4]) }, (g, { X }) =>
      g[opType](X, { axes: [1], keepdims: 0 }),
    ),
    of(opType, "of equals", { X: normal([2, 1]) }, (g, { X }) =>
      g[opType](g.Expand(X, g.int64([2, 3])), { axes: [1] }),
    ),
  ]),
  ...(["ReduceMax", "ReduceProd", "ReduceLogSum"] as const).map((opType) =>
    of(opType, "no axes means none", { X: positive([2, 3]) }, (g, { X }) =>
      g[opType](X, g.int64([]), { noop_with_empty_axes: 1 }),
    ),
  ),
  of("ReduceProd", "zeros", { X: positive([4, 3]) }, (g, { X }) =>
    g.ReduceProd(g.Mul(X, g.float([1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0], [4, 3])), {
      axes: [1],
    }),
  ),
  of("ReduceLogSum", "", { X: positive(["batch", 3]) }, (g, { X }) =>
    g.ReduceLogSum(X, { axes: [1], keepdims: 0 }),
  ),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      of("CumSum", `exclusive ${exclusive}, reverse ${reverse}`, { X: normal(["batch", 4]) }, (g, { X }) =>
        g.CumSum(X, g.int64(-1), { exclusive, reverse }),
      ),
    ),
  ),
];
