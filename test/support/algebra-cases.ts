import type { GivenShape } from "../../graph-builder/index.ts";
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
  of("MatMul", "one matrix for a stack", { A: normal(["batch", 2, 3]), B: normal([3, 4]) }, (g, { A, B }) =>
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
  of(
    "FusedMatMul",
    "both transposed, alpha",
    { A: normal(["batch", 3, 2]), B: normal([4, 3]) },
    (g, { A, B }) => g.FusedMatMul(A, B, { transA: 1, transB: 1, alpha: 0.3 }),
  ),
  of(
    "FusedMatMul",
    "the batch axes moved",
    { A: normal([2, "batch", 3]), B: normal([3, "batch", 4]) },
    (g, { A, B }) => g.FusedMatMul(A, B, { transBatchA: 1, transBatchB: 1 }),
  ),
  of("Gemm", "without C", { A: normal(["batch", 3]), B: normal([3, 2]) }, (g, { A, B }) => g.Gemm(A, B)),
  of(
    "Gemm",
    "C a column",
    { A: normal(["batch", 3]), B: normal([3, 2]), C: normal(["batch", 1]) },
    (g, { A, B, C }) => g.Gemm(A, B, C),
  ),
  einsum("a product of stacks", "bij,bjk->bik", ["batch", 2, 3], ["batch", 3, 2]),
  einsum("an ellipsis that broadcasts", "...ij,jk->...ik", ["batch", 2, 2, 3], [3, 2]),
  einsum("an ellipsis of 1", "...ij,...jk", [1, 2, 3], ["batch", 3, 2]),
  einsum("a sum over an axis of one input", "ij,k->i", [2, 3], [4]),
  einsum("an outer product", "i,j->ij", [3], ["batch"]),
  einsum("a trace", "ii", [3, 3]),
  einsum("a diagonal of a stack", "...ii->...i", ["batch", 3, 3]),
  einsum("a diagonal and a product", "iij,jk->ik", [2, 2, 3], [3, 2]),
  einsum("three inputs", "bi,ij,bj->b", ["batch", 2], [2, 3], ["batch", 3]),
  einsum("without an output", "ba,cb", [2, 3], [4, 2]),
];

function einsum(title: string, equation: string, ...shapes: readonly GivenShape[]): OperatorCase {
  const inputs = Object.fromEntries(shapes.map((shape, i) => [`X${i}`, normal(shape)]));
  return of("Einsum", `${title}, ${equation}`, inputs, (g, values) =>
    g.Einsum(...Object.values(values), { equation }),
  );
}
