import { dividedBy, elementsOver, fitSpatial, floatLike, spatialAxes } from "../../composites.ts";
import { negativeLogLikelihood } from "../../expansions/negative-log-likelihood.ts";
import type { neural as operators } from "../../operators/neural.ts";
import { Tensor } from "../../tensor.ts";
import { averagePoolGradient } from "./average-pool.ts";
import { batchNormalizationGradient } from "./batch-normalization.ts";
import { crossEntropyGradient } from "./cross-entropy.ts";
import { throughExpansion } from "./expanded.ts";
import { layerNormalizationGradient } from "./layer-normalization.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of convolution, pooling, normalisation, dropout and losses. */
export const neural: Gradients<typeof operators> = {
  Conv: (g, { I, dY, attributes }) => g.ConvGrad(dY, I(0), I(1), attributes),
  // ConvTranspose is the adjoint of a Conv: dX = Conv(dY, W), and dW is that Conv's dW with X and dY
  // exchanged
  ConvTranspose: (g, { I, optional, dY, attributes }) => {
    const { output_padding: _, output_shape: __, ...window } = attributes;
    return [
      // output_padding of at least the stride makes one more place for the window
      () => fitSpatial(g, g.Conv(dY, I(1), window), I(0).shape.slice(2), () => g.Shape(I(0), { start: 2 })),
      () => g.ConvGrad(I(0), dY, I(1), window)[1],
      optional(2) ? () => g.ReduceSum(dY, g.int64([0, ...spatialAxes(dY)]), { keepdims: 0 }) : null,
    ];
  },
  // the gradient reads indices in row-major order
  MaxPool: (g, { I, O, dY, attributes }) => {
    if (!attributes.storage_order) return [g.MaxPoolGrad(dY, O(1), attributes)];
    const rowMajor = { ...attributes, storage_order: 0 };
    return [g.MaxPoolGrad(dY, g.MaxPool(I(0), rowMajor)[1], rowMajor)];
  },
  AveragePool: (g, { I, dY, attributes }) => [
    averagePoolGradient(g, dY, I(0).shape, attributes, () => g.Shape(I(0), { start: 2 })),
  ],
  GlobalAveragePool: (g, { I, dY }) => [
    g.Expand(dividedBy(g, dY, elementsOver(g, I(0), spatialAxes(I(0)))), g.Shape(I(0))),
  ],
  BatchNormalization: batchNormalizationGradient,
  // with x = (X - mean) * invStd and a = dY * scale, over the pixels of each picture and channel:
  // dX = invStd * (a - mean(a) - x * mean(a * x)), dScale = sum(dY * x), dB = sum(dY)
  InstanceNormalization: (g, { I, dY, attributes: { epsilon } }) => {
    const X = I(0);
    const axes = spatialAxes(X);
    const centred = g.Sub(X, g.ReduceMean(X, { axes }));
    const variance = g.ReduceMean(g.Mul(centred, centred), { axes });
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, floatLike(g, X, epsilon))));
    const x = g.Mul(centred, invStd);
    const sums = g.int64([0, ...axes]);
    return [
      () => {
        const a = g.Mul(dY, g.Unsqueeze(I(1), g.int64(axes.map((axis) => axis - 1))));
        const slope = g.ReduceMean(g.Mul(a, x), { axes });
        return g.Mul(g.Sub(g.Sub(a, g.ReduceMean(a, { axes })), g.Mul(x, slope)), invStd);
      },
      () => g.ReduceSum(g.Mul(dY, x), sums, { keepdims: 0 }),
      () => g.ReduceSum(dY, sums, { keepdims: 0 }),
    ];
  },
  LayerNormalization: layerNormalizationGradient,
  SimplifiedLayerNormalization: (g, { I, O, dY, attributes }) =>
    g.SimplifiedLayerNormalizationGrad(dY, I(0), I(1), O(1), attributes),
  Dropout: (g, { optional, O, dY }) => [
    g.DropoutGrad(dY, O(1), optional(1), optional(2) ?? g.constant(new Tensor("bool", [], Uint8Array.of(0)))),
    null,
    null,
  ],
  SoftmaxCrossEntropyLoss: crossEntropyGradient,
  NegativeLogLikelihoodLoss: throughExpansion(negativeLogLikelihood),
};
