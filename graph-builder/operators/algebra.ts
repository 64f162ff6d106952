import { type Shape, tensorType } from "../types.ts";
import { einsumShape, parseEquation } from "./einsum.ts";
import { broadcastShapes, commonElemType, dimAt, mayEqual, refuse } from "./inference.ts";
import { attribute, operator, required } from "./schema.ts";

/** The shape of a product of matrices, or of stacks of them. */
export function matMulShape(A: Shape, B: Shape): Shape {
  // a vector is a row on the left and a column on the right, and that axis is dropped from the product
  if (A.length === 1) return matMulShape([1, ...A], B).toSpliced(-(B.length === 1 ? 1 : 2), 1);
  if (B.length === 1) return matMulShape(A, [...B, 1]).slice(0, -1);
  if (A.length === 0 || B.length === 0)
    return refuse("MatMul needs vectors, matrices, or stacks of matrices");
  const [columns, rows] = [dimAt(A, A.length - 1), dimAt(B, B.length - 2)];
  if (!mayEqual(columns, rows)) refuse(`inner dimensions ${columns} and ${rows} differ`);
  return [...broadcastShapes(A.slice(0, -2), B.slice(0, -2)), dimAt(A, A.length - 2), dimAt(B, B.length - 1)];
}

export const algebra = {
  MatMul: operator({
    inputs: ["A", "B"],
    outputs: ["Y"],
    infer: ([A, B]) => [tensorType(commonElemType(A, B), matMulShape(A.shape, B.shape))],
  }),
  Gemm: operator({
    inputs: ["A", "B", "C?"],
    outputs: ["Y"],
    attributes: {
      alpha: attribute("float", 1),
      beta: attribute("float", 1),
      transA: attribute("int", 0),
      transB: attribute("int", 0),
    },
    infer: ([A, B, C], { transA, transB }) => {
      if (A.shape.length !== 2 || B.shape.length !== 2) refuse("Gemm needs two matrices");
      const shape = matMulShape(
        transA ? [...A.shape].reverse() : A.shape,
        transB ? [...B.shape].reverse() : B.shape,
      );
      if (C) broadcastShapes(shape, C.shape);
      return [tensorType(commonElemType(A, B), shape)];
    },
  }),
  Einsum: operator({
    since: 12,
    inputs: ["Inputs..."],
    outputs: ["Output"],
    attributes: { equation: required("string") },
    infer: (inputs, { equation }) => {
      const shapes = inputs.map(({ shape }) => shape);
      const parsed = parseEquation(
        equation,
        shapes.map(({ length }) => length),
      );
      return [tensorType(commonElemType(...inputs), einsumShape(parsed, shapes))];
    },
  }),
  Det: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => {
      const rank = X.shape.length;
      if (rank < 2 || !mayEqual(dimAt(X.shape, rank - 2), dimAt(X.shape, rank - 1)))
        refuse("needs square matrices");
      return [tensorType(X.elemType, X.shape.slice(0, -2))];
    },
  }),
};
