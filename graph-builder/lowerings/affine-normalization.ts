import type { Builder } from "../builder.ts";
import { elementsOver, spatialAxes } from "../composites.ts";
import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import type { Lowering } from "./lower.ts";
import {
  centredVariance,
  channelMean,
  channelSum,
  isNormalized,
  runningStatistics,
} from "./normalization.ts";

/**
 * Batch normalisation in training and its gradient, where a BatchNormalization in inference mode is the
 * cheapest `scale * X + shift` per channel: it reads and writes once. The layer below has other types than
 * float.
 */
export const affineNormalization = {
  // variance = mean(X^2) - mean(X)^2 reads X once less, and BatchNormalization in inference mode reads X once
  BatchNormInternal: (g, { I, node, attributes: { epsilon, momentum } }) => {
    if (I(0).elemType !== "float") return undefined;
    const mean = channelMean(g, I(0));
    const variance = isNormalized(node.input(0))
      ? g.Relu(g.Sub(channelMean(g, g.Mul(I(0), I(0))), g.Mul(mean, mean)))
      : centredVariance(g, I(0), mean);
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(epsilon))));
    const [Y] = g.BatchNormalization(I(0), I(1), I(2), mean, variance, { epsilon });
    return [Y, ...runningStatistics(g, [I(3), I(4)], [mean, variance], momentum), mean, invStd];
  },

  // dX = a dY + b X + c with a = scale invStd, b = -a invStd dScale / M, c = -a dB / M - b mean
  BatchNormalizationGrad: (g, { I, isUsed }) => {
    const [dY, X, scale, mean, invStd] = [I(0), I(1), I(2), I(3), I(4)];
    if (X.elemType !== "float") return undefined;
    const dBias = channelSum(g, dY);
    const dScale = g.Mul(invStd, g.Sub(channelSum(g, g.Mul(dY, X)), g.Mul(mean, dBias)));
    if (!isUsed(0)) return [null, dScale, dBias];
    const count = elementsOver(g, X, [0, ...spatialAxes(X)]);
    const a = g.Mul(scale, invStd);
    const b = g.Neg(g.Div(g.Mul(g.Mul(a, invStd), dScale), count));
    const c = g.Neg(g.Add(g.Div(g.Mul(a, dBias), count), g.Mul(b, mean)));
    const zero = g.Sub(a, a);
    return [g.Add(affine(g, dY, a, zero), affine(g, X, b, c)), dScale, dBias];
  },
} satisfies Lowering;

/** scale * X + shift per channel, as a BatchNormalization with mean 0 and variance 1. */
function affine(g: Builder, X: Value, scale: Value, shift: Value): Value {
  const channels = staticDim(X.shape, 1);
  const zeros = g.float(Array(channels).fill(0));
  const ones = g.float(Array(channels).fill(1));
  return g.BatchNormalization(X, scale, shift, zeros, ones, { epsilon: 0 })[0];
}
