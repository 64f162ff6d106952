import type { Builder } from "../../builder.ts";
import { dividedBy, elementsOver, filled, floatLike, spatialAxes } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import type { Backward, GradientRule } from "./rule.ts";

/** The gradient of BatchNormalization, in training and for inference. */
export const batchNormalizationGradient: GradientRule<"BatchNormalization"> = (g, back) =>
  back.attributes.training_mode ? gradientInTraining(g, back) : gradientOfInference(g, back);

/**
 * The mean and the variance are those of the batch. The running statistics,
 * momentum * running + (1 - momentum) * batch, have gradients too where something reads them.
 */
function gradientInTraining(
  g: Builder,
  { I, dY, arriving, attributes: { epsilon, momentum } }: Backward<"BatchNormalization">,
): (Value | (() => Value))[] {
  const X = I(0);
  const axes = [0, ...spatialAxes(X)];
  const centred = g.Sub(X, g.ReduceMean(X, { axes }));
  const mean = g.ReduceMean(X, { axes, keepdims: 0 });
  const variance = g.ReduceMean(g.Mul(centred, centred), { axes, keepdims: 0 });
  const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, floatLike(g, X, epsilon))));
  const [dX, dScale, dB] = g.BatchNormalizationGrad(dY, X, I(1), mean, invStd, { epsilon });
  const running = [arriving(1), arriving(2)];
  const channel = (value: Value) => g.Unsqueeze(value, g.int64(spatialAxes(X).map((axis) => axis - 1)));
  const share = (gradient: Value, factor: number) =>
    channel(
      dividedBy(
        g,
        g.Mul(gradient, floatLike(g, gradient, factor * (1 - momentum))),
        elementsOver(g, X, axes),
      ),
    );
  const throughStatistics = () => {
    const [dMean, dVariance] = running;
    const withMean = dMean ? g.Add(dX, share(dMean, 1)) : dX;
    return dVariance ? g.Add(withMean, g.Mul(centred, share(dVariance, 2))) : withMean;
  };
  const ofRunning = [0, 1].map((i) => () => {
    const gradient = running[i];
    return gradient ? g.Mul(gradient, floatLike(g, gradient, momentum)) : filled(g, I(3 + i), 0);
  });
  return [throughStatistics, dScale, dB, ...ofRunning];
}

/** The mean and the variance are inputs: with s = sum(dY * scale), dMean = -s * invStd, and so on. */
function gradientOfInference(
  g: Builder,
  { I, dY, attributes: { epsilon } }: Backward<"BatchNormalization">,
): (() => Value)[] {
  const [X, scale, mean, variance] = [I(0), I(1), I(3), I(4)];
  const invStd = g.Reciprocal(g.Sqrt(g.Add(variance, floatLike(g, X, epsilon))));
  const axes = g.int64([0, ...spatialAxes(X)]);
  const channel = (value: Value) => g.Unsqueeze(value, g.int64(spatialAxes(X).map((axis) => axis - 1)));
  const total = (value: Value) => g.ReduceSum(value, axes, { keepdims: 0 });
  const dScale = () => total(g.Mul(dY, g.Mul(g.Sub(X, channel(mean)), channel(invStd))));
  const cubed = () => g.Mul(invStd, g.Mul(invStd, invStd));
  return [
    () => g.Mul(dY, channel(g.Mul(scale, invStd))),
    dScale,
    () => total(dY),
    () => g.Neg(g.Mul(total(dY), g.Mul(scale, invStd))),
    () => {
      const slope = total(g.Mul(dY, g.Sub(X, channel(mean))));
      return g.Mul(g.Mul(slope, g.Mul(scale, cubed())), floatLike(g, X, -0.5));
    },
  ];
}
