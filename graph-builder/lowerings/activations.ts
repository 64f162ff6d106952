import type { Builder } from "../builder.ts";
import { floatLike, unbroadcast } from "../composites.ts";
import type { Value } from "../ir.ts";
import type { Lowering } from "./lower.ts";

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBE = 0.044715;

/** The Gelu family of ONNX Runtime (domain com.microsoft), and the gradients of all activations. */
export const activations = {
  // dX = dY where Y > 0
  ReluGrad: (g, { I }) => [g.Where(g.Greater(I(1), floatLike(g, I(1), 0)), I(0), floatLike(g, I(0), 0))],
  // dX = dY where Y > 0, else alpha dY
  LeakyReluGrad: (g, { I, attributes: { alpha } }) => [
    g.Where(g.Greater(I(1), floatLike(g, I(0), 0)), I(0), g.Mul(I(0), floatLike(g, I(0), alpha))),
  ],
  // dX = dY * Y * (1 - Y)
  SigmoidGrad: (g, { I }) => [g.Mul(I(0), g.Mul(I(1), g.Sub(floatLike(g, I(0), 1), I(1))))],
  // dX = dY * (1 - Y^2)
  TanhGrad: (g, { I }) => [g.Mul(I(0), g.Sub(floatLike(g, I(0), 1), g.Mul(I(1), I(1))))],

  // Y = X Phi(X), Phi the normal distribution: (1 + erf(X / sqrt 2)) / 2
  Gelu: (g, { I }) => [g.Mul(I(0), normalDistribution(g, I(0)))],
  // dX = dY * (Phi(X) + X exp(-X^2 / 2) / sqrt(2 pi))
  GeluGrad: (g, { I }) => {
    const density = g.Mul(
      g.Exp(g.Mul(g.Mul(I(1), I(1)), floatLike(g, I(0), -0.5))),
      floatLike(g, I(0), 1 / Math.sqrt(2 * Math.PI)),
    );
    return [g.Mul(I(0), g.Add(normalDistribution(g, I(1)), g.Mul(I(1), density)))];
  },

  // Y = X (1 + tanh u) / 2 with u = sqrt(2 / pi) (X + 0.044715 X^3)
  FastGelu: (g, { I, optional }) => {
    const X = biased(g, I(0), optional(1));
    return [g.Mul(g.Mul(X, floatLike(g, I(0), 0.5)), g.Add(floatLike(g, I(0), 1), tanhOfCubic(g, X)))];
  },
  // dX = dY / 2 * (1 + t + X (1 - t^2) sqrt(2 / pi) (1 + 3 * 0.044715 X^2)) with t = tanh u; 1 - t^2 comes
  // before X^2, which is infinite in float16 from 256 on, where 1 - t^2 is 0
  FastGeluGrad: (g, { I, optional }) => {
    const X = biased(g, I(1), optional(2));
    const t = tanhOfCubic(g, X);
    const steep = g.Mul(X, g.Sub(floatLike(g, I(0), 1), g.Mul(t, t)));
    const rise = g.Add(
      g.Mul(steep, floatLike(g, I(0), TANH_SCALE)),
      g.Mul(g.Mul(g.Mul(steep, X), X), floatLike(g, I(0), 3 * TANH_SCALE * TANH_CUBE)),
    );
    return [g.Mul(g.Mul(I(0), floatLike(g, I(0), 0.5)), g.Add(g.Add(floatLike(g, I(0), 1), t), rise))];
  },

  // Y = X sigmoid(alpha X)
  QuickGelu: (g, { I, attributes: { alpha } }) => [
    g.Mul(I(0), g.Sigmoid(g.Mul(I(0), floatLike(g, I(0), alpha)))),
  ],
  // dX = dY * s * (1 + alpha X (1 - s)) with s = sigmoid(alpha X)
  QuickGeluGrad: (g, { I, attributes: { alpha } }) => {
    const scaled = g.Mul(I(1), floatLike(g, I(0), alpha));
    const s = g.Sigmoid(scaled);
    const rise = g.Add(floatLike(g, I(0), 1), g.Mul(scaled, g.Sub(floatLike(g, I(0), 1), s)));
    return [g.Mul(I(0), g.Mul(s, rise))];
  },

  // dA = dY / B, dB = -dY A / B^2
  DivGrad: (g, { I, isUsed }) => {
    const quotient = g.Div(I(0), I(2));
    return [
      isUsed(0) ? unbroadcast(g, quotient, I(1)) : null,
      isUsed(1) ? unbroadcast(g, g.Neg(g.Mul(quotient, g.Div(I(1), I(2)))), I(2)) : null,
    ];
  },

  // dX = Y * (dY - sum(dY * Y))
  SoftmaxGrad_13: (g, { I, attributes: { axis } }) => [
    g.Mul(I(1), g.Sub(I(0), g.ReduceSum(g.Mul(I(0), I(1)), g.int64([axis])))),
  ],
  // dX = dY - exp(Y) * sum(dY)
  LogSoftmaxGrad_13: (g, { I, attributes: { axis } }) => [
    g.Sub(I(0), g.Mul(g.Exp(I(1)), g.ReduceSum(I(0), g.int64([axis])))),
  ],
} satisfies Lowering;

function normalDistribution(g: Builder, X: Value): Value {
  return g.Mul(
    g.Add(g.Erf(g.Mul(X, floatLike(g, X, Math.SQRT1_2))), floatLike(g, X, 1)),
    floatLike(g, X, 0.5),
  );
}

function biased(g: Builder, X: Value, bias: Value | null): Value {
  return bias ? g.Add(X, bias) : X;
}

function tanhOfCubic(g: Builder, X: Value): Value {
  const cubic = g.Add(X, g.Mul(g.Mul(g.Mul(X, X), X), floatLike(g, X, TANH_CUBE)));
  return g.Tanh(g.Mul(cubic, floatLike(g, X, TANH_SCALE)));
}
