import { type OperatorCase, of } from "./elementwise-cases.ts";
import { type Input, normal } from "./random-tensor.ts";

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
  ...(["ReduceL2", "ReduceLogSumExp"] as const).flatMap((opType) => [
    of(opType, "all", { X: normal(["batch", 2]) }, (g, { X }) => g[opType](X)),
    of(opType, "two axes kept", { X: image() }, (g, { X }) => g[opType](X, { axes: [-4, 2] })),
    of(opType, "two axes dropped", { X: image() }, (g, { X }) => g[opType](X, { axes: [1, 2], keepdims: 0 })),
  ]),
];
