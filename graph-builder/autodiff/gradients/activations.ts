import type { activations as operators } from "../../operators/activations.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of activation functions. */
export const activations: Gradients<typeof operators> = {
  Sigmoid: (g, { O, dY }) => [g.SigmoidGrad(dY, O(0))],
  Tanh: (g, { O, dY }) => [g.TanhGrad(dY, O(0))],
  Relu: (g, { O, dY }) => [g.ReluGrad(dY, O(0))],
  // dX = dY where X > 0, else alpha dY
  LeakyRelu: (g, { I, dY, attributes }) => [
    g.Where(g.Greater(I(0), g.float(0)), dY, g.Mul(dY, g.float(attributes.alpha))),
  ],
  // dX = alpha dY where 0 < Y < 1
  HardSigmoid: (g, { O, dY, attributes }) => [
    g.Where(
      g.And(g.Greater(O(0), g.float(0)), g.Less(O(0), g.float(1))),
      g.Mul(dY, g.float(attributes.alpha)),
      g.float(0),
    ),
  ],
  Softmax: (g, { O, dY, attributes }) => [g.SoftmaxGrad_13(dY, O(0), attributes)],
  LogSoftmax: (g, { O, dY, attributes }) => [g.LogSoftmaxGrad_13(dY, O(0), attributes)],
};
