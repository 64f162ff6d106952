import type { Builder } from "../builder.ts";
import { elementsOver, spatialAxes } from "../composites.ts";
import type { Value } from "../ir.ts";
import type { Lower, Lowering } from "../lowering.ts";
import type { training } from "../operators/training.ts";
import { functions } from "../shake-shake.ts";
import { convGrad, textbookWeightGradient } from "./convolution.ts";
import { crossEntropyGrad, crossEntropyLoss } from "./cross-entropy.ts";
import { gatherGrad, maxPoolGrad, sliceGrad } from "./placement.ts";

/** Training operators that change a tensor in place, or all parameters at once: in-place.ts and optimizers.ts resolve them before. */
type InPlace = "InPlaceAccumulatorV2" | "SGDOptimizerV2" | "AdamWOptimizer";

type Portable = Lowering & {
  readonly [K in Exclude<keyof typeof training, InPlace>]: Lower<K>;
};

/** Training operators in ai.onnx 17 alone, with operators that every execution provider of ONNX Runtime has. */
export const portable: Portable = {
  ConvGrad: convGrad(textbookWeightGradient),

  // Y = (X - mean) / sqrt(var + epsilon) * scale + B; running = momentum * running + (1 - momentum) * batch, biased variance
  BatchNormInternal: (g, { I, attributes: { epsilon, momentum } }) => {
    const mean = channelMean(g, I(0));
    const centred = g.Sub(I(0), perChannel(g, I(0), mean));
    const variance = channelMean(g, g.Mul(centred, centred));
    const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, g.float(epsilon))));
    const Y = g.Add(g.Mul(centred, perChannel(g, I(0), g.Mul(I(1), invStd))), perChannel(g, I(0), I(2)));
    return [Y, ...runningStatistics(g, [I(3), I(4)], [mean, variance], momentum), mean, invStd];
  },

  // with x = (X - mean) * invStd: dX = scale * invStd * (dY - mean(dY) - x * mean(dY * x)), dScale = sum(dY * x), dB = sum(dY)
  BatchNormalizationGrad: (g, { I, isUsed }) => {
    const [dY, X, scale, mean, invStd] = [I(0), I(1), I(2), I(3), I(4)];
    const normal = g.Mul(g.Sub(X, perChannel(g, X, mean)), perChannel(g, X, invStd));
    const dBias = channelSum(g, dY);
    const dScale = channelSum(g, g.Mul(dY, normal));
    if (!isUsed(0)) return [null, dScale, dBias];
    const count = elementsOver(g, X, [0, ...spatialAxes(X)]);
    const centred = g.Sub(
      g.Sub(dY, perChannel(g, X, g.Div(dBias, count))),
      g.Mul(normal, perChannel(g, X, g.Div(dScale, count))),
    );
    return [g.Mul(centred, perChannel(g, X, g.Mul(scale, invStd))), dScale, dBias];
  },

  // dX = dY where Y > 0
  ReluGrad: (g, { I }) => [g.Where(g.Greater(I(1), g.float(0)), I(0), g.float(0))],
  // dX = dY * Y * (1 - Y)
  SigmoidGrad: (g, { I }) => [g.Mul(I(0), g.Mul(I(1), g.Sub(g.float(1), I(1))))],
  // dX = dY * (1 - Y^2)
  TanhGrad: (g, { I }) => [g.Mul(I(0), g.Sub(g.float(1), g.Mul(I(1), I(1))))],
  // dX = Y * (dY - sum(dY * Y))
  SoftmaxGrad_13: (g, { I, attributes: { axis } }) => [
    g.Mul(I(1), g.Sub(I(0), g.ReduceSum(g.Mul(I(0), I(1)), g.int64([axis])))),
  ],
  // dX = dY - exp(Y) * sum(dY)
  LogSoftmaxGrad_13: (g, { I, attributes: { axis } }) => [
    g.Sub(I(0), g.Mul(g.Exp(I(1)), g.ReduceSum(I(0), g.int64([axis])))),
  ],

  SoftmaxCrossEntropyLoss: crossEntropyLoss,
  SoftmaxCrossEntropyLossGrad: crossEntropyGrad,
  // the order of nodes is the order of their inputs here: state is explicit
  PassThrough: (_, { node, I }) => node.inputs.map((__, i) => I(i)),
  GatherGrad: gatherGrad,
  SliceGrad: sliceGrad,
  MaxPoolGrad: maxPoolGrad,
};

/** The portable table for a device that also wants model-local functions written out. */
export const inlined: Lowering = {
  ShakeForward: (g, { I }) => functions.ShakeForward(g, [I(0), I(1), I(2)]),
  ShakeBackward: (g, { I }) => functions.ShakeBackward(g, [I(0), I(1)]),
};

/** running * momentum + batch * (1 - momentum), for the mean and the variance. */
export function runningStatistics(
  g: Builder,
  running: readonly Value[],
  batch: readonly Value[],
  momentum: number,
): Value[] {
  return running.map((old, i) =>
    g.Add(g.Mul(old, g.float(momentum)), g.Mul(batch[i] ?? old, g.float(1 - momentum))),
  );
}

/** The mean of each channel of X [N, C, ...]: over the pixels first, then over the images, which kernels do faster. */
export function channelMean(g: Builder, X: Value): Value {
  const axes = spatialAxes(X);
  return g.ReduceMean(axes.length > 0 ? g.ReduceMean(X, { axes, keepdims: 0 }) : X, {
    axes: [0],
    keepdims: 0,
  });
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
