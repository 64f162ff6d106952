import { operationOn } from "../../expansions/expansion.ts";
import { negativeLogLikelihood } from "../../expansions/negative-log-likelihood.ts";
import type { Value } from "../../ir.ts";
import type { GradientRule } from "./rule.ts";

/**
 * The gradient of SoftmaxCrossEntropyLoss from the loss, and from log_prob where something reads it. The
 * weights are those of the negative log-likelihood of log_prob.
 */
export const crossEntropyGradient: GradientRule<"SoftmaxCrossEntropyLoss"> = (
  g,
  { I, optional, O, arriving, attributes, propagate },
) => {
  const [dLoss, dLogProb] = [arriving(0), arriving(1)];
  const ofScores = (): Value => {
    const ofLoss = dLoss && g.SoftmaxCrossEntropyLossGrad(dLoss, O(1), I(1), optional(2), attributes);
    if (!dLogProb) return ofLoss ?? O(1);
    const ofLogProb = g.LogSoftmaxGrad_13(dLogProb, O(1), { axis: 1 });
    return ofLoss ? g.Add(ofLoss, ofLogProb) : ofLogProb;
  };
  const ofWeights = (weights: Value): Value => {
    const inputs = [O(1), I(1), weights];
    const [loss] = negativeLogLikelihood(g, operationOn("NegativeLogLikelihoodLoss", inputs, attributes));
    const given = new Map(loss && dLoss ? [[loss, dLoss]] : []);
    return propagate(g, given, [weights])[0] ?? weights;
  };
  const weights = optional(2);
  return [ofScores, null, weights && (() => ofWeights(weights))];
};
