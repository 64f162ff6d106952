import { castLike, dividedBy, elementsOver } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { normalAxis } from "../../operators/inference.ts";
import type { GradientRule } from "./rule.ts";

/**
 * The gradient of LayerNormalization. The outputs Mean and InvStdDev have gradients too where something reads
 * them: with n elements in a mean, dX = dMean / n - dInvStdDev * InvStdDev^3 * (X - Mean) / n.
 */
export const layerNormalizationGradient: GradientRule<"LayerNormalization"> = (
  g,
  { I, optional, O, dY, arriving, attributes },
) => {
  const [dX, dScale, dB] = g.LayerNormalizationGrad(dY, I(0), I(1), O(1), O(2), attributes);
  const [dMean, dInvStd] = [arriving(1), arriving(2)];
  const X = I(0);
  const like = (value: Value) => castLike(g, value, X);
  const first = normalAxis(attributes.axis, X.shape.length);
  const axes = X.shape.map((_, axis) => axis).slice(first);
  const mean = (value: Value) => dividedBy(g, value, elementsOver(g, X, axes));
  const throughStatistics = () => {
    const withMean = dMean ? g.Add(dX, mean(like(dMean))) : dX;
    if (!dInvStd) return withMean;
    const [centred, invStd] = [g.Sub(X, like(O(1))), like(O(2))];
    const slope = g.Mul(like(dInvStd), g.Mul(invStd, g.Mul(invStd, invStd)));
    return g.Sub(withMean, g.Mul(centred, mean(slope)));
  };
  return optional(2) ? [throughStatistics, dScale, dB] : [throughStatistics, dScale];
};
