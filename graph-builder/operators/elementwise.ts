import { differenceOf, productOf, sumOf } from "../dims.ts";
import { type DataType, integerTypes, tensorType } from "../types.ts";
import {
  areVectors,
  castContents,
  complete,
  contentsOf,
  elementwiseContents,
  equality,
  quotient,
  remainder,
} from "./contents.ts";
import {
  broadcast,
  broadcastShapes,
  commonElemType,
  comparison,
  refuse,
  sameAs,
  unsupported,
} from "./inference.ts";
import { attribute, type Operand, operator, required } from "./schema.ts";

/** An operator of one input that keeps its type. */
export const unary = operator({ inputs: ["X"], outputs: ["Y"], infer: ([X]) => sameAs(X) });
const arithmetic = (combine: Parameters<typeof elementwiseContents>[0]) =>
  operator({
    inputs: ["A", "B"],
    outputs: ["C"],
    infer: ([A, B]) => broadcast(A, B),
    contents: ([A, B]) => (A.elemType.startsWith("int") ? elementwiseContents(combine)([A, B]) : [undefined]),
  });
const compare = operator({ inputs: ["A", "B"], outputs: ["C"], infer: ([A, B]) => comparison(A, B) });
/** A question about each element. */
const question = operator({
  inputs: ["X"],
  outputs: ["Y"],
  infer: ([X]) => [tensorType("bool", X.shape)],
});
/** An operator of truth values. */
const logical = (decide: (a: boolean, b: boolean) => boolean) =>
  operator({
    inputs: ["A", "B"],
    outputs: ["C"],
    infer: ([A, B]) => {
      for (const { elemType } of [A, B])
        if (elemType !== "bool") refuse(`inputs must be bool, not ${elemType}`);
      return comparison(A, B);
    },
    contents: elementwiseContents((a, b) => Number(decide(a !== 0, b !== 0))),
  });
function expectIntegers(...values: readonly Operand[]): void {
  for (const { elemType } of values) {
    if (!integerTypes.has(elemType)) refuse(`inputs must be integers, not ${elemType}`);
  }
}
const bitwise = operator({
  since: 18,
  inputs: ["A", "B"],
  outputs: ["C"],
  infer: ([A, B]) => {
    expectIntegers(A, B);
    return broadcast(A, B);
  },
});
const variadic = operator({ inputs: ["data..."], outputs: ["C"], infer: (data) => broadcast(...data) });

/** TensorProto.DataType numbers, as the attribute `to` of Cast carries them. */
export const dataTypeNumbers: Readonly<Record<DataType, number>> = {
  undefined: 0,
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
};

/** The element type of a TensorProto.DataType number. Throws ShapeError for an unknown number. */
export function dataTypeOf(number: number): DataType {
  for (const [name, value] of Object.entries(dataTypeNumbers)) if (value === number) return name as DataType;
  return unsupported(`data type number ${number} is not supported`);
}

/** The bits of an element, of which most types' names tell. */
function bitsOf(elemType: DataType): number {
  const named: Partial<Record<DataType, number>> = { float: 32, double: 64, bool: 8 };
  return named[elemType] ?? Number(/\d+/.exec(elemType)?.[0]);
}

export const elementwise = {
  Abs: unary,
  Neg: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => sameAs(X),
    contents: ([X]) => [X.contents?.map((dim) => differenceOf(0, dim))],
  }),
  Sin: unary,
  Cos: unary,
  Tan: unary,
  Asin: unary,
  Acos: unary,
  Atan: unary,
  Sinh: unary,
  Cosh: unary,
  Asinh: unary,
  Acosh: unary,
  Atanh: unary,
  Exp: unary,
  Log: unary,
  Sqrt: unary,
  Erf: unary,
  Sign: unary,
  Round: unary,
  Ceil: unary,
  Floor: unary,
  Reciprocal: unary,
  Identity: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => [X.type],
    contents: ([X]) => contentsOf(X),
  }),
  IsNaN: question,
  IsInf: operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { detect_negative: attribute("int", 1), detect_positive: attribute("int", 1) },
    infer: ([X]) => [tensorType("bool", X.shape)],
  }),
  Not: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => sameAs(X),
    contents: ([X]) => [X.contents?.map((truth) => (truth === 0 ? 1 : 0))],
  }),
  BitwiseNot: operator({
    since: 18,
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => {
      expectIntegers(X);
      return sameAs(X);
    },
  }),
  Clip: operator({
    inputs: ["input", "min?", "max?"],
    outputs: ["output"],
    infer: ([input]) => sameAs(input),
  }),
  Cast: operator({
    since: ({ saturate, round_mode }) => (round_mode !== "up" ? 24 : saturate !== 1 ? 19 : 11),
    inputs: ["input"],
    outputs: ["output"],
    attributes: {
      to: required("int"),
      saturate: attribute("int", 1),
      round_mode: attribute("string", "up"),
    },
    infer: ([input], { to }) => [tensorType(dataTypeOf(to), input.shape)],
    contents: ([input], { to }) => [castContents(input, dataTypeOf(to))],
  }),
  BitCast: operator({
    since: 26,
    inputs: ["input"],
    outputs: ["output"],
    attributes: { to: required("int") },
    infer: ([input], { to }) => {
      const elemType = dataTypeOf(to);
      if (bitsOf(elemType) !== bitsOf(input.elemType))
        refuse(`the bits of ${input.elemType} are not as many as those of ${elemType}`);
      return [tensorType(elemType, input.shape)];
    },
  }),
  Add: arithmetic(sumOf),
  Sub: arithmetic(differenceOf),
  Mul: arithmetic((a, b) => productOf([a, b])),
  Div: arithmetic(quotient),
  Mod: operator({
    inputs: ["A", "B"],
    outputs: ["C"],
    attributes: { fmod: attribute("int", 0) },
    infer: ([A, B]) => broadcast(A, B),
    contents: ([A, B], { fmod }) => (fmod ? [undefined] : elementwiseContents(remainder)([A, B])),
  }),
  Pow: operator({
    inputs: ["X", "Y"],
    outputs: ["Z"],
    infer: ([X, Y]) => [tensorType(X.elemType, broadcastShapes(X.shape, Y.shape))],
  }),
  Sum: variadic,
  Min: variadic,
  Max: variadic,
  Mean: variadic,
  Equal: operator({
    inputs: ["A", "B"],
    outputs: ["C"],
    infer: ([A, B]) => comparison(A, B),
    contents: elementwiseContents(equality),
  }),
  Greater: compare,
  Less: compare,
  GreaterOrEqual: { ...compare, since: 12 },
  LessOrEqual: { ...compare, since: 12 },
  And: logical((a, b) => a && b),
  Or: logical((a, b) => a || b),
  Xor: logical((a, b) => a !== b),
  BitwiseAnd: bitwise,
  BitwiseOr: bitwise,
  BitwiseXor: bitwise,
  BitShift: operator({
    inputs: ["X", "Y"],
    outputs: ["Z"],
    attributes: { direction: required("string") },
    infer: ([X, Y], { direction }) => {
      expectIntegers(X, Y);
      if (direction !== "LEFT" && direction !== "RIGHT")
        refuse(`direction ${direction} is not LEFT or RIGHT`);
      return broadcast(X, Y);
    },
  }),
  Where: operator({
    inputs: ["condition", "X", "Y"],
    outputs: ["output"],
    infer: ([condition, X, Y]) => [
      tensorType(commonElemType(X, Y), broadcastShapes(condition.shape, X.shape, Y.shape)),
    ],
    contents: ([condition, X, Y]) => {
      const [chosen, x, y] = [condition.contents, X.contents, Y.contents];
      if (!areVectors(condition, X, Y)) return [undefined];
      if (!chosen || x?.length !== chosen.length || y?.length !== chosen.length) return [undefined];
      return [complete(chosen.map((choice, i) => (choice ? x[i] : y[i])))];
    },
  }),
};
