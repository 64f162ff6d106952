import { type OperatorCase, of } from "./elementwise-cases.ts";
import { apart, normal } from "./random-tensor.ts";

/** Cases of activation functions. */
export const activationCases: readonly OperatorCase[] = [
  of("Gelu", "", { X: normal(["batch", 3]) }, (g, { X }) => g.Gelu(X)),
  of("FastGelu", "", { X: normal(["batch", 3]) }, (g, { X }) => g.FastGelu(X)),
  of("FastGelu", "bias", { X: normal(["batch", 3]), b: normal([3]) }, (g, { X, b }) => g.FastGelu(X, b)),
  of("QuickGelu", "alpha 1", { X: normal(["batch", 3]) }, (g, { X }) => g.QuickGelu(X, { alpha: 1 })),
  of("Sigmoid", "", { X: normal([2, 3]) }, (g, { X }) => g.Sigmoid(X)),
  of("Tanh", "", { X: normal([2, 3]) }, (g, { X }) => g.Tanh(X)),
  of("Relu", "", { X: apart(["batch", 7]) }, (g, { X }) => g.Relu(X)),
  of("LeakyRelu", "alpha 0.3", { X: apart([9]) }, (g, { X }) => g.LeakyRelu(X, { alpha: 0.3 })),
  of("HardSigmoid", "both kinks", { X: apart([9]) }, (g, { X }) =>
    g.HardSigmoid(X, { alpha: 10, beta: 0.5 }),
  ),
  of(
    "PRelu",
    "a slope for each channel",
    { X: apart(["batch", 2, 3]), slope: normal([2, 1]) },
    (g, { X, slope }) => g.PRelu(X, slope),
  ),
  of("PRelu", "one slope", { X: apart(["batch", 4]), slope: normal([1]) }, (g, { X, slope }) =>
    g.PRelu(X, slope),
  ),
  of("ThresholdedRelu", "alpha 0.1", { X: apart([9]) }, (g, { X }) => g.ThresholdedRelu(X, { alpha: 0.1 })),
  of("Elu", "alpha 0.7", { X: apart([9]) }, (g, { X }) => g.Elu(X, { alpha: 0.7 })),
  of("Selu", "", { X: apart([9]) }, (g, { X }) => g.Selu(X)),
  of("Selu", "alpha 2, gamma 3", { X: apart([9]) }, (g, { X }) => g.Selu(X, { alpha: 2, gamma: 3 })),
  of("Celu", "alpha 2", { X: apart([9]) }, (g, { X }) => g.Celu(X, { alpha: 2 })),
  of("HardSwish", "both kinks", { X: apart([9]) }, (g, { X }) => g.HardSwish(g.Mul(X, g.float(17)))),
  of("Softplus", "", { X: normal(["batch", 3]) }, (g, { X }) => g.Softplus(X)),
  of("Softsign", "", { X: apart([9]) }, (g, { X }) => g.Softsign(X)),
  of("Mish", "", { X: normal(["batch", 3]) }, (g, { X }) => g.Mish(X)),
  of(
    "Shrink",
    "soft",
    { X: apart([9]) },
    (g, { X }) => g.Shrink(g.Mul(X, g.float(3)), { lambd: 1, bias: 0.3 }),
    { step: 2 ** -9 },
  ),
  of("Softmax", "last axis", { X: normal(["batch", 4]) }, (g, { X }) => g.Softmax(X)),
  of("Softmax", "axis 1 of three", { X: normal(["batch", 4, 2]) }, (g, { X }) => g.Softmax(X, { axis: 1 })),
  of("Softmax", "a row in which everything is masked", { X: normal([3, 4]) }, (g, { X }) => {
    const no = Number.NEGATIVE_INFINITY;
    const Y = g.Softmax(g.Add(X, g.float([no, no, no, no, 0, no, 0, 0, 0, 0, 0, 0], [3, 4])));
    return g.Where(g.IsNaN(Y), g.float(0), Y);
  }),
  of("LogSoftmax", "last axis", { X: normal(["batch", 4]) }, (g, { X }) => g.LogSoftmax(X)),
  of("LogSoftmax", "axis -2", { X: normal(["batch", 4, 2]) }, (g, { X }) => g.LogSoftmax(X, { axis: -2 })),
];
