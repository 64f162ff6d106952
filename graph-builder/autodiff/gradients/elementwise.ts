import type { Builder } from "../../builder.ts";
import { castLike, floatLike, wide } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import type { elementwise as operators } from "../../operators/elementwise.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import type { Backward, Gradients } from "./rule.ts";

/** The gradients of elementwise operators. */
export const elementwise: Gradients<typeof operators> = {
  Identity: (_, { dY }) => [dY],
  Neg: (g, { dY }) => [g.Neg(dY)],
  // dX = dY * sign(X)
  Abs: (g, { I, dY }) => [g.Mul(dY, g.Sub(isPositive(g, I(0)), isPositive(g, g.Neg(I(0)))))],
  // dX = dY * Y
  Exp: (g, { O, dY }) => [g.Mul(dY, O(0))],
  // dX = dY / X
  Log: (g, { I, dY }) => [g.Div(dY, I(0))],
  // dX = dY * 2 / sqrt(pi) * exp(-X^2)
  Erf: (g, { I, dY }) => [
    g.Mul(dY, g.Mul(floatLike(g, dY, 2 / Math.sqrt(Math.PI)), g.Exp(g.Neg(g.Mul(I(0), I(0)))))),
  ],
  Sign: "zero",
  Round: "zero",
  Ceil: "zero",
  Floor: "zero",
  Sin: (g, { I, dY }) => [g.Mul(dY, g.Cos(I(0)))],
  Cos: (g, { I, dY }) => [g.Neg(g.Mul(dY, g.Sin(I(0))))],
  // dX = dY * (1 + Y^2)
  Tan: (g, { O, dY }) => [g.Mul(dY, onePlus(g, g.Mul(O(0), O(0))))],
  // dX = dY / sqrt(1 - X^2)
  Asin: (g, { I, dY }) => [g.Div(dY, g.Sqrt(oneMinus(g, g.Mul(I(0), I(0)))))],
  // dX = -dY / sqrt(1 - X^2)
  Acos: (g, { I, dY }) => [g.Neg(g.Div(dY, g.Sqrt(oneMinus(g, g.Mul(I(0), I(0))))))],
  // dX = dY / (1 + X^2)
  Atan: (g, { I, dY }) => [g.Div(dY, onePlus(g, g.Mul(I(0), I(0))))],
  Sinh: (g, { I, dY }) => [g.Mul(dY, g.Cosh(I(0)))],
  Cosh: (g, { I, dY }) => [g.Mul(dY, g.Sinh(I(0)))],
  // dX = dY / sqrt(X^2 + 1)
  Asinh: (g, { I, dY }) => [g.Div(dY, g.Sqrt(onePlus(g, g.Mul(I(0), I(0)))))],
  // dX = dY / sqrt(X^2 - 1)
  Acosh: (g, { I, dY }) => [g.Div(dY, g.Sqrt(g.Neg(oneMinus(g, g.Mul(I(0), I(0))))))],
  // dX = dY / (1 - X^2)
  Atanh: (g, { I, dY }) => [g.Div(dY, oneMinus(g, g.Mul(I(0), I(0))))],
  // dX = dY / 2Y
  Sqrt: (g, { O, dY }) => [g.Div(dY, g.Add(O(0), O(0)))],
  // dX = -dY * Y^2
  Reciprocal: (g, { O, dY }) => [g.Neg(g.Mul(dY, g.Mul(O(0), O(0))))],
  // dX = dY where X was not clipped, dmin = dY where X < min <= max, dmax = dY where X or min > max
  Clip: (g, back) => {
    const { I, optional, dY } = back;
    const [X, min, max, zero] = [I(0), optional(1), optional(2), floatLike(g, dY, 0)];
    const isLow = (low: Value) => (max ? g.And(g.Less(X, low), g.Not(g.Greater(low, max))) : g.Less(X, low));
    return [
      g.Where(isUnclipped(g, back), dY, zero),
      min && (() => g.Where(isLow(min), dY, zero)),
      max && (() => g.Where(g.Greater(min ? g.Max(X, min) : X, max), dY, zero)),
    ];
  },
  Cast: (g, { I, dY }) => [g.Cast(dY, { to: dataTypeNumbers[I(0).elemType] })],
  BitCast: { none: "the bits of a number have no gradient" },
  Add: (_, { dY }) => [dY, dY],
  Sub: (g, { dY }) => [dY, () => g.Neg(dY)],
  // dA = dY * B, dB = dY * A
  Mul: (g, { I, dY }) => [() => g.Mul(dY, I(1)), () => g.Mul(dY, I(0))],
  // dA = dY / B, dB = -dY * C / B
  Div: (g, { I, O, dY }) => [() => g.Div(dY, I(1)), () => g.Neg(g.Div(g.Mul(dY, O(0)), I(1)))],
  // A - B * trunc(A / B) with fmod: dA = dY, dB = -dY * trunc(A / B), as PyTorch's fmod has it
  Mod: (g, { I, dY }) => [
    dY,
    () => {
      const quotient = g.Div(I(0), I(1));
      return g.Neg(g.Mul(dY, g.Mul(g.Sign(quotient), g.Floor(g.Abs(quotient)))));
    },
  ],
  Pow: (g, { I, O, dY }) => [
    () => powerGradient(g, I(0), I(1), dY),
    () => exponentGradient(g, I(0), I(1), O(0), dY),
  ],
  Sum: (_, { node, dY }) => node.inputs.map(() => dY),
  // dX_i = dY / n
  Mean: (g, { node, dY }) => {
    const share = g.Div(dY, floatLike(g, dY, node.inputs.length));
    return node.inputs.map(() => share);
  },
  Min: (g, back) => extremum(g, back),
  Max: (g, back) => extremum(g, back),
  Where: (g, { I, dY }) => [
    null,
    () => g.Where(I(0), dY, floatLike(g, dY, 0)),
    () => g.Where(I(0), floatLike(g, dY, 0), dY),
  ],
  IsNaN: "zero",
  IsInf: "zero",
  Not: "zero",
  Equal: "zero",
  Greater: "zero",
  Less: "zero",
  GreaterOrEqual: "zero",
  LessOrEqual: "zero",
  And: "zero",
  Or: "zero",
  Xor: "zero",
  BitwiseNot: "zero",
  BitwiseAnd: "zero",
  BitwiseOr: "zero",
  BitwiseXor: "zero",
  BitShift: "zero",
};

function onePlus(g: Builder, X: Value): Value {
  return g.Add(X, floatLike(g, X, 1));
}

function oneMinus(g: Builder, X: Value): Value {
  return g.Sub(floatLike(g, X, 1), X);
}

/** dX = dZ * Y * X^(Y-1), and 0 where Y is 0, even at X = 0. */
function powerGradient(g: Builder, X: Value, Y: Value, dZ: Value): Value {
  const known = Y.constant?.numbers();
  if (known?.every((number) => number === 2)) return g.Mul(dZ, g.Add(X, X));
  const exponent = castLike(g, Y, X);
  const [zero, one] = [floatLike(g, X, 0), floatLike(g, X, 1)];
  const slope = (power: Value) => g.Mul(dZ, g.Mul(exponent, g.Pow(X, g.Sub(power, one))));
  if (known && !known.includes(0)) return slope(exponent);
  const isZero = g.Equal(exponent, zero);
  return g.Where(isZero, zero, slope(g.Where(isZero, one, exponent)));
}

/** dY = dZ * Z * ln X, and 0 where X is 0. */
function exponentGradient(g: Builder, X: Value, Y: Value, Z: Value, dZ: Value): Value {
  const isZero = g.Equal(X, floatLike(g, X, 0));
  const logarithm = g.Log(g.Where(isZero, floatLike(g, X, 1), X));
  return castLike(g, g.Mul(dZ, g.Mul(Z, logarithm)), Y);
}

function isPositive(g: Builder, X: Value): Value {
  return g.Cast(g.Greater(X, floatLike(g, X, 0)), { to: dataTypeNumbers[X.elemType] });
}

/** Whether an element of X is the same in Y. */
function isUnclipped(g: Builder, { I, O, optional }: Backward<"Clip">): Value {
  const X = wide(g, I(0));
  if (X === I(0)) return g.Equal(X, O(0));
  const bound = (index: number) => {
    const value = optional(index);
    return value && wide(g, value);
  };
  return g.Equal(X, g.Clip(X, bound(1), bound(2)));
}

/** dX_i = dY / n where X_i is the extremum, and n inputs are equal to it. */
function extremum(g: Builder, { node, I, O, dY }: Backward<"Min"> | Backward<"Max">): (() => Value)[] {
  const values = node.inputs.map((_, i) => wide(g, I(i)));
  const Y = values[0] === I(0) ? O(0) : g[node.opType](...values);
  const isExtreme = values.map((value) => castLike(g, g.Equal(value, Y), dY));
  const share = g.Div(dY, g.Sum(...isExtreme));
  return isExtreme.map((mask) => () => g.Mul(share, mask));
}
