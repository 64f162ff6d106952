import type { Builder } from "../../builder.ts";
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
  Erf: (g, { I, dY }) => [g.Mul(dY, g.Mul(g.float(2 / Math.sqrt(Math.PI)), g.Exp(g.Neg(g.Mul(I(0), I(0))))))],
  Sign: "zero",
  Round: "zero",
  Sin: (g, { I, dY }) => [g.Mul(dY, g.Cos(I(0)))],
  Cos: (g, { I, dY }) => [g.Neg(g.Mul(dY, g.Sin(I(0))))],
  // dX = dY / 2Y
  Sqrt: (g, { O, dY }) => [g.Div(dY, g.Add(O(0), O(0)))],
  // dX = -dY * Y^2
  Reciprocal: (g, { O, dY }) => [g.Neg(g.Mul(dY, g.Mul(O(0), O(0))))],
  // dX = dY where X was not clipped
  Clip: (g, { I, O, dY }) => [g.Where(g.Equal(I(0), O(0)), dY, g.float(0)), null, null],
  Cast: (g, { I, dY }) => [g.Cast(dY, { to: dataTypeNumbers[I(0).elemType] })],
  Add: (_, { dY }) => [dY, dY],
  Sub: (g, { dY }) => [dY, () => g.Neg(dY)],
  // dA = dY * B, dB = dY * A
  Mul: (g, { I, dY }) => [() => g.Mul(dY, I(1)), () => g.Mul(dY, I(0))],
  // dA = dY / B, dB = -dY * C / B
  Div: (g, { I, O, dY }) => [() => g.Div(dY, I(1)), () => g.Neg(g.Div(g.Mul(dY, O(0)), I(1)))],
  // dX = dY * Y * X^(Y-1), dY = dZ * Z * ln X
  Pow: (g, { I, O, dY }) => [
    () => g.Mul(dY, g.Mul(I(1), g.Pow(I(0), g.Sub(I(1), g.float(1))))),
    () => g.Mul(dY, g.Mul(O(0), g.Log(I(0)))),
  ],
  Sum: (_, { node, dY }) => node.inputs.map(() => dY),
  Min: (g, back) => extremum(g, back),
  Max: (g, back) => extremum(g, back),
  Where: (g, { I, dY }) => [null, () => g.Where(I(0), dY, g.float(0)), () => g.Where(I(0), g.float(0), dY)],
  Mod: { none: "it is not continuous" },
  Not: "zero",
  Equal: "zero",
  Greater: "zero",
  Less: "zero",
  GreaterOrEqual: "zero",
  LessOrEqual: "zero",
  And: "zero",
};

function isPositive(g: Builder, X: Value): Value {
  return g.Cast(g.Greater(X, g.float(0)), { to: dataTypeNumbers[X.elemType] });
}

/** dX_i = dY / n where X_i is the extremum, and n inputs are equal to it. */
function extremum(g: Builder, { node, I, O, dY }: Backward<"Min"> | Backward<"Max">): (() => Value)[] {
  const isExtreme = node.inputs.map((_, i) =>
    g.Cast(g.Equal(I(i), O(0)), { to: dataTypeNumbers[dY.elemType] }),
  );
  const share = g.Div(dY, g.Sum(...isExtreme));
  return isExtreme.map((mask) => () => g.Mul(share, mask));
}
