import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import { dividedBy, elementsOver, floatLike, spatialAxes, unbroadcast } from "../composites.ts";
import type { Value } from "../ir.ts";
import { normalAxis } from "../operators/inference.ts";
import type { Lowering } from "./lower.ts";

/** Batch and layer normalisation in training, and their gradients. */
export const normalization = {
  // Y = (X - mean) / sqrt(var + epsilon) * scale + B with the biased variance of the batch;
  // running statistic = momentum * running + (1 - momentum) * batch
  BatchNormInternal: (g, { I, attributes: { epsilon, momentum } }) => {
    const mean = channelMean(g, I(0));
    const centred = g.Sub(I(0), perChannel(g, I(0), mean));
    const variance = channelMean(g, g.Mul(centred, centred));
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, floatLike(g, I(0), epsilon))));
    const Y = g.Add(g.Mul(centred, perChannel(g, I(0), g.Mul(I(1), invStd))), perChannel(g, I(0), I(2)));
    return [Y, ...runningStatistics(g, [I(3), I(4)], [mean, variance], momentum), mean, invStd];
  },

  // with x = (X - mean) * invStd: dX = scale * invStd * (dY - mean(dY) - x * mean(dY * x)),
  // dScale = sum(dY * x), dB = sum(dY)
  BatchNormalizationGrad: (g, { I, isUsed }) => {
    const [dY, X, scale, mean, invStd] = [I(0), I(1), I(2), I(3), I(4)];
    const normal = g.Mul(g.Sub(X, perChannel(g, X, mean)), perChannel(g, X, invStd));
    const dBias = channelSum(g, dY);
    const dScale = channelSum(g, g.Mul(dY, normal));
    if (!isUsed(0)) return [null, dScale, dBias];
    const count = elementsOver(g, X, [0, ...spatialAxes(X)]);
    const centred = g.Sub(
      g.Sub(dY, perChannel(g, X, dividedBy(g, dBias, count))),
      g.Mul(normal, perChannel(g, X, dividedBy(g, dScale, count))),
    );
    return [g.Mul(centred, perChannel(g, X, g.Mul(scale, invStd))), dScale, dBias];
  },

  // Y = (X - mean) / sqrt(var + epsilon) * Scale + B, with the mean and the variance over the axes from
  // `axis` on
  LayerNormalization: (g, { I, optional, isUsed, attributes }) => {
    const B = optional(2);
    if (!isUsed(1) && !isUsed(2)) return [g.LayerNormalization(I(0), I(1), B, attributes)[0]];
    const axes = normalizedAxes(I(0), attributes.axis);
    const mean = g.ReduceMean(I(0), { axes });
    const centred = g.Sub(I(0), mean);
    const variance = g.ReduceMean(g.Mul(centred, centred), { axes });
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, floatLike(g, I(0), attributes.epsilon))));
    const scaled = g.Mul(g.Mul(centred, invStd), I(1));
    return [B ? g.Add(scaled, B) : scaled, mean, invStd];
  },

  // with x = (X - mean) * invStd and a = dY * scale: dX = invStd * (a - mean(a) - x * mean(a * x)),
  // dScale = sum(dY * x), dB = sum(dY)
  LayerNormalizationGrad: (g, { I, isUsed, attributes: { axis } }) => {
    const [dY, X, scale, mean, invStd] = [I(0), I(1), I(2), I(3), I(4)];
    const axes = normalizedAxes(X, axis);
    const normal = g.Mul(g.Sub(X, mean), invStd);
    const a = g.Mul(dY, scale);
    const slope = g.ReduceMean(g.Mul(a, normal), { axes });
    const centred = g.Sub(g.Sub(a, g.ReduceMean(a, { axes })), g.Mul(normal, slope));
    return [
      isUsed(0) ? g.Mul(centred, invStd) : null,
      isUsed(1) ? unbroadcast(g, g.Mul(dY, normal), scale) : null,
      isUsed(2) ? unbroadcast(g, dY, scale) : null,
    ];
  },

  // Y = X * scale / sqrt(mean(X^2) + epsilon), with the mean over the axes from `axis` on
  SimplifiedLayerNormalization: (g, { I, attributes: { axis, epsilon } }) => {
    const axes = normalizedAxes(I(0), axis);
    const square = g.ReduceMean(g.Mul(I(0), I(0)), { axes });
    const invStd = g.Reciprocal(g.Sqrt(g.Add(square, floatLike(g, I(0), epsilon))));
    return [g.Mul(g.Mul(I(0), invStd), I(1)), invStd];
  },

  // with x = X * invStd and a = dY * scale: dX = invStd * (a - x * mean(a * x)), dScale = sum(dY * x)
  SimplifiedLayerNormalizationGrad: (g, { I, isUsed, attributes: { axis } }) => {
    const [dY, X, scale, invStd] = [I(0), I(1), I(2), I(3)];
    const axes = normalizedAxes(X, axis);
    const normal = g.Mul(X, invStd);
    const a = g.Mul(dY, scale);
    const slope = g.ReduceMean(g.Mul(a, normal), { axes });
    return [
      isUsed(0) ? g.Mul(g.Sub(a, g.Mul(normal, slope)), invStd) : null,
      isUsed(1) ? unbroadcast(g, g.Mul(dY, normal), scale) : null,
    ];
  },
} satisfies Lowering;

/** The axes of X from `axis` on. */
function normalizedAxes(X: Value, axis: number): number[] {
  return X.shape.map((_, i) => i).slice(normalAxis(axis, X.shape.length));
}

/** running * momentum + batch * (1 - momentum), for the mean and the variance. */
export function runningStatistics(
  g: Builder,
  running: readonly Value[],
  batch: readonly Value[],
  momentum: number,
): Value[] {
  return running.map((old, i) =>
    g.Add(g.Mul(old, floatLike(g, old, momentum)), g.Mul(at(batch, i), floatLike(g, old, 1 - momentum))),
  );
}

/**
 * The mean of each channel of X [N, C, ...]. Two ReduceMeans, over pixels and then images, are faster than
 * one.
 */
export function channelMean(g: Builder, X: Value): Value {
  const axes = spatialAxes(X);
  return g.ReduceMean(axes.length > 0 ? g.ReduceMean(X, { axes, keepdims: 0 }) : X, {
    axes: [0],
    keepdims: 0,
  });
}

/** The variance of each channel of X [N, C, ...] around its mean [C]. */
export function centredVariance(g: Builder, X: Value, mean: Value): Value {
  const centred = g.Sub(X, perChannel(g, X, mean));
  return channelMean(g, g.Mul(centred, centred));
}

const normalizations: ReadonlySet<string> = new Set([
  "BatchNormInternal",
  "BatchNormalization",
  "InstanceNormalization",
  "GroupNormalization",
  "LayerNormalization",
]);

/** The operators whose other inputs are weights. */
const weighted: ReadonlySet<string> = new Set(["Conv", "ConvTranspose"]);

/**
 * Whether a normalisation lies on every way from the data to X. Where one does, no channel's mean is far
 * above its deviation, and mean(X^2) - mean(X)^2 is as good as mean((X - mean(X))^2): its relative error is
 * about 6e-8 (mean / deviation)^2. A way ends where the number of axes changes.
 */
export function isNormalized(X: Value): boolean {
  const seen = new Set<Value>();
  const visit = (value: Value): boolean => {
    if (value.shape.length !== X.shape.length || seen.has(value)) return true;
    seen.add(value);
    const { producer } = value;
    if (!producer) return value.constant !== undefined;
    if (normalizations.has(producer.opType)) return true;
    const read = weighted.has(producer.opType) ? producer.inputs.slice(0, 1) : producer.inputs;
    return read.every((input) => input === null || visit(input));
  };
  return visit(X);
}

/** The sum of each channel of X [N, C, ...]. */
export function channelSum(g: Builder, X: Value): Value {
  const axes = spatialAxes(X);
  const pixels = axes.length > 0 ? g.ReduceSum(X, g.int64(axes), { keepdims: 0 }) : X;
  return g.ReduceSum(pixels, g.int64([0]), { keepdims: 0 });
}

/** A value per channel [C] in a shape that broadcasts over X [N, C, ...]. */
export function perChannel(g: Builder, X: Value, value: Value): Value {
  const axes = spatialAxes(X).map((axis) => axis - 1);
  return axes.length > 0 ? g.Unsqueeze(value, g.int64(axes)) : value;
}
