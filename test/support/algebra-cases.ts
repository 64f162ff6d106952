import { type OperatorCase, of } from "./elementwise-cases.ts";
import { normal } from "./random-tensor.ts";

const vector = (n: number) => normal([n]);

/** Cases of linear algebra. */
export const algebraCases: readonly OperatorCase[] = [
  of("MatMul", "matrices", { A: normal(["batch", 3]), B: normal([3, 2]) }, (g, { A, B }) => g.MatMul(A, B)),
  of("MatMul", "a stack", { A: normal(["batch", 2, 3]), B: normal(["batch", 3, 4]) }, (g, { A, B }) =>
    g.MatMul(A, B),
  ),
  of("MatMul", "broadcast stacks", { A: normal(["batch", 1, 2, 3]), B: normal([2, 3, 4]) }, (g, { A, B }) =>
    g.MatMul(A, B),
  ),
  of("MatMul", "a vector on the right", { A: normal(["batch", 2, 3]), B: vector(3) }, (g, { A, B }) =>
    g.MatMul(A, B),
  ),
  of(
    "MatMul",
    "a vector on the left of a stack",
    { A: vector(3), B: normal(["batch", 3, 2]) },
    (g, { A, B }) => g.MatMul(A, B),
  ),
  of("MatMul", "two vectors", { A: vector(3), B: vector(3) }, (g, { A, B }) => g.MatMul(A, B)),
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      of(
        "Gemm",
        `transA ${transA}, transB ${transB}, alpha, beta`,
        {
          A: normal(transA ? [3, "batch"] : ["batch", 3]),
          B: normal(transB ? [2, 3] : [3, 2]),
          C: vector(2),
        },
        (g, { A, B, C }) => g.Gemm(A, B, C, { alpha: 0.7, beta: 1.6, transA, transB }),
      ),
    ),
  ),
  of("Gemm", "without C", { A: normal(["batch", 3]), B: normal([3, 2]) }, (g, { A, B }) => g.Gemm(A, B)),
  of(
    "Gemm",
    "C a column",
    { A: normal(["batch", 3]), B: normal([3, 2]), C: normal(["batch", 1]) },
    (g, { A, B, C }) => g.Gemm(A, B, C),
  ),
];
