import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import { isOp, type Value } from "../../ir.ts";
import type { activations as operators } from "../../operators/activations.ts";
import type { Gradients } from "./rule.ts";

/**
 * The result of a Softmax with 0 for NaN where a Where may take another value in the place of rows that are
 * NaN, as exporters write it for rows in which everything is masked: no gradient comes to those rows, and 0
 * times NaN must not become one.
 */
function withoutNaN(g: Builder, Y: Value): Value {
  return isChosen(Y) ? g.Where(g.IsNaN(Y), floatLike(g, Y, 0), Y) : Y;
}

/** Whether a Where reads a value as one of its branches, itself or through Cast. */
function isChosen({ uses }: Value): boolean {
  return uses.some(({ node, index }) =>
    isOp(node, "Cast") ? isChosen(node.output(0)) : isOp(node, "Where") && index > 0,
  );
}

/** The gradients of activation functions. */
export const activations: Gradients<typeof operators> = {
  Sigmoid: (g, { O, dY }) => [g.SigmoidGrad(dY, O(0))],
  Tanh: (g, { O, dY }) => [g.TanhGrad(dY, O(0))],
  Relu: (g, { O, dY }) => [g.ReluGrad(dY, O(0))],
  // dX = dY where X > 0, else alpha dY
  LeakyRelu: (g, { I, dY, attributes }) => [
    g.Where(g.Greater(I(0), floatLike(g, dY, 0)), dY, g.Mul(dY, floatLike(g, dY, attributes.alpha))),
  ],
  // dX = dY where X >= 0, else slope dY; dslope = X dY where X < 0
  PRelu: (g, { I, dY }) => {
    const [X, slope, zero] = [I(0), I(1), floatLike(g, dY, 0)];
    const isNegative = g.Less(X, zero);
    return [() => g.Where(isNegative, g.Mul(dY, slope), dY), () => g.Where(isNegative, g.Mul(dY, X), zero)];
  },
  // dX = dY where X > alpha
  ThresholdedRelu: (g, { I, dY, attributes }) => [
    g.Where(g.Greater(I(0), floatLike(g, dY, attributes.alpha)), dY, floatLike(g, dY, 0)),
  ],
  // dX = dY where X > 0, else dY * alpha exp(X) = dY * (Y + alpha)
  Elu: (g, { I, O, dY, attributes: { alpha } }) => [
    g.Where(g.Greater(I(0), floatLike(g, dY, 0)), dY, g.Mul(dY, g.Add(O(0), floatLike(g, dY, alpha)))),
  ],
  // dX = dY * gamma where X > 0, else dY * gamma alpha exp(X) = dY * (Y + gamma alpha)
  Selu: (g, { I, O, dY, attributes: { alpha, gamma } }) => [
    g.Mul(
      dY,
      g.Where(
        g.Greater(I(0), floatLike(g, dY, 0)),
        floatLike(g, dY, gamma),
        g.Add(O(0), floatLike(g, dY, gamma * alpha)),
      ),
    ),
  ],
  // dX = dY where X > 0, else dY * exp(X / alpha) = dY * (Y / alpha + 1)
  Celu: (g, { I, O, dY, attributes: { alpha } }) => [
    g.Where(
      g.Greater(I(0), floatLike(g, dY, 0)),
      dY,
      g.Mul(dY, g.Add(g.Div(O(0), floatLike(g, dY, alpha)), floatLike(g, dY, 1))),
    ),
  ],
  // dX = alpha dY where 0 < Y < 1
  HardSigmoid: (g, { O, dY, attributes }) => [
    g.Where(
      g.And(g.Greater(O(0), floatLike(g, dY, 0)), g.Less(O(0), floatLike(g, dY, 1))),
      g.Mul(dY, floatLike(g, dY, attributes.alpha)),
      floatLike(g, dY, 0),
    ),
  ],
  // dX = dY * (X / 3 + 1 / 2) where -3 < X < 3, 0 below and dY above
  HardSwish: (g, { I, dY }) => {
    const number = (value: number) => floatLike(g, dY, value);
    const middle = g.Add(g.Div(I(0), number(3)), number(0.5));
    const slope = g.Where(g.Less(I(0), number(3)), middle, number(1));
    return [g.Mul(dY, g.Where(g.Greater(I(0), number(-3)), slope, number(0)))];
  },
  Softplus: (g, { I, dY }) => [g.Mul(dY, g.Sigmoid(I(0)))],
  // dX = dY / (1 + |X|)^2
  Softsign: (g, { I, dY }) => {
    const size = g.Add(g.Abs(I(0)), floatLike(g, dY, 1));
    return [g.Div(dY, g.Mul(size, size))];
  },
  // dX = dY * (t + X sigmoid(X) (1 - t^2)) with t = tanh(softplus(X))
  Mish: (g, { I, dY }) => {
    const t = g.Tanh(g.Softplus(I(0)));
    const fall = g.Sub(floatLike(g, dY, 1), g.Mul(t, t));
    return [g.Mul(dY, g.Add(t, g.Mul(g.Mul(I(0), g.Sigmoid(I(0))), fall)))];
  },
  // dX = dY where |X| > lambd
  Shrink: (g, { I, dY, attributes: { lambd } }) => [
    g.Where(g.Greater(g.Abs(I(0)), floatLike(g, dY, lambd)), dY, floatLike(g, dY, 0)),
  ],
  Softmax: (g, { O, dY, attributes }) => [g.SoftmaxGrad_13(dY, withoutNaN(g, O(0)), attributes)],
  LogSoftmax: (g, { O, dY, attributes }) => [g.LogSoftmaxGrad_13(dY, O(0), attributes)],
  Hardmax: "zero",
};
