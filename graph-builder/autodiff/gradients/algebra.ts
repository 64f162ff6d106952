import type { Builder } from "../../builder.ts";
import { filled, floatLike } from "../../composites.ts";
import type { Dim } from "../../dims.ts";
import type { Value } from "../../ir.ts";
import type { algebra as operators } from "../../operators/algebra.ts";
import { staticDim } from "../../operators/inference.ts";
import { Tensor, tensorOf } from "../../tensor.ts";
import { einsumGradients } from "./einsum.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of linear algebra. */
export const algebra: Gradients<typeof operators> = {
  // dA = dY B', dB = A' dY; a vector A is a row, a vector B is a column
  MatMul: (g, { I, dY }) => {
    const [isRow, isColumn] = [I(0).shape.length === 1, I(1).shape.length === 1];
    const A = isRow ? g.Unsqueeze(I(0), g.int64([0])) : I(0);
    const B = isColumn ? g.Unsqueeze(I(1), g.int64([1])) : I(1);
    const dropped = [...(isRow ? [-2] : []), ...(isColumn ? [-1] : [])];
    const dC = dropped.length > 0 ? g.Unsqueeze(dY, g.int64(dropped)) : dY;
    const without = (value: Value, axis: number) => g.Squeeze(value, g.int64([axis]));
    return [
      () => {
        const dA = g.MatMul(dC, transposed(g, B));
        return isRow ? without(dA, -2) : dA;
      },
      () => {
        const dB = sharedMatrixGradient(g, A, B, dC) ?? g.MatMul(transposed(g, A), dC);
        return isColumn ? without(dB, -1) : dB;
      },
    ];
  },
  // Y = alpha op(A) op(B) + beta C
  Gemm: (g, { I, optional, dY, attributes: { alpha, beta, transA, transB } }) => [
    () =>
      transA
        ? g.Gemm(I(1), dY, { alpha, transA: transB, transB: 1 })
        : g.Gemm(dY, I(1), { alpha, transB: 1 - transB }),
    () =>
      transB
        ? g.Gemm(dY, I(0), { alpha, transA: 1, transB: transA })
        : g.Gemm(I(0), dY, { alpha, transA: 1 - transA }),
    optional(2) ? () => (beta === 1 ? dY : g.Mul(dY, floatLike(g, dY, beta))) : null,
  ],
  Einsum: (g, back) => einsumGradients(g, back),
  Det: (g, { I, dY }) => [g.Mul(g.Unsqueeze(dY, g.int64([-2, -1])), cofactors(g, I(0)))],
};

/**
 * dB where one matrix B multiplies every matrix of A, as a Linear's weights do: the rows of all matrices of A
 * and of dC are those of one product, which needs no sum over the matrices. Undefined for other shapes.
 */
function sharedMatrixGradient(g: Builder, A: Value, B: Value, dC: Value): Value | undefined {
  const [rows, columns] = B.shape;
  if (A.shape.length < 3 || B.shape.length !== 2 || !isSize(rows) || !isSize(columns)) return undefined;
  const [all, gradients] = [g.Reshape(A, g.int64([-1, rows])), g.Reshape(dC, g.int64([-1, columns]))];
  return g.Gemm(all, gradients, { transA: 1 });
}

/** Whether a dimension is known and not empty, so that a Reshape can compute another one from it. */
function isSize(dim: Dim | undefined): dim is number {
  return typeof dim === "number" && dim > 0;
}

/** Exchanges the last two axes. */
function transposed(g: Builder, X: Value): Value {
  const perm = X.shape.map((_, i) => i);
  const last = perm.length - 1;
  return g.Transpose(X, { perm: [...perm.slice(0, -2), last, last - 1] });
}

/**
 * The cofactors of square matrices, which are the derivatives of the determinant: (-1)^(i + j) times the
 * determinant of the matrix without row i and column j. Unlike det(X) times the inverse, they are right for
 * singular matrices.
 */
function cofactors(g: Builder, X: Value): Value {
  const rank = X.shape.length;
  const size = staticDim(X.shape, rank - 1);
  if (size === 1) return filled(g, X, 1);
  const each = Array.from({ length: size }, (_, i) => i);
  const others = each.flatMap((i) => each.filter((other) => other !== i));
  const indices = g.constant(new Tensor("int64", [size, size - 1], BigInt64Array.from(others, BigInt)));
  // [..., i, j, rows, columns]
  const rows = g.Gather(X, indices, { axis: rank - 2 });
  const minors = g.Transpose(g.Gather(rows, indices, { axis: rank }), {
    perm: [...X.shape.slice(2).map((_, axis) => axis), rank - 2, rank, rank - 1, rank + 1],
  });
  const signs = each.flatMap((i) => each.map((j) => ((i + j) % 2 === 0 ? 1 : -1)));
  return g.Mul(g.Det(minors), g.constant(tensorOf(X.elemType, signs, [size, size])));
}
