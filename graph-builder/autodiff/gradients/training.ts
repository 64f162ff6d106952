import { fusedMatMul } from "../../expansions/fused-mat-mul.ts";
import type { training as operators } from "../../operators/training.ts";
import { throughExpansion } from "./expanded.ts";
import type { Gradients } from "./rule.ts";

const isGradient = { none: "it is itself part of a backward pass" } as const;

/** The gradients of ONNX Runtime's own operators (domain com.microsoft). */
export const training: Gradients<typeof operators> = {
  BatchNormInternal: (g, { I, O, dY, attributes: { epsilon } }) =>
    g.BatchNormalizationGrad(dY, I(0), I(1), O(3), O(4), { epsilon }),
  Gelu: (g, { I, dY }) => [g.GeluGrad(dY, I(0))],
  FastGelu: (g, { I, optional, dY }) => {
    const dX = g.FastGeluGrad(dY, I(0), optional(1));
    return [dX, dX];
  },
  QuickGelu: (g, { I, dY, attributes }) => [g.QuickGeluGrad(dY, I(0), attributes)],
  FusedMatMul: throughExpansion(fusedMatMul),
  Scale: isGradient,
  ConcatTraining: isGradient,
  SplitTraining: isGradient,
  ReduceSumTraining: isGradient,
  BroadcastGradientArgs: "zero",
  DivGrad: isGradient,
  LeakyReluGrad: isGradient,
  GeluGrad: isGradient,
  FastGeluGrad: isGradient,
  QuickGeluGrad: isGradient,
  LayerNormalizationGrad: isGradient,
  SimplifiedLayerNormalizationGrad: isGradient,
  DropoutGrad: isGradient,
  InplaceClipGradNorm: isGradient,
  ConvGrad: isGradient,
  BatchNormalizationGrad: isGradient,
  ReluGrad: isGradient,
  SigmoidGrad: isGradient,
  TanhGrad: isGradient,
  SoftmaxGrad_13: isGradient,
  LogSoftmaxGrad_13: isGradient,
  SoftmaxCrossEntropyLossGrad: isGradient,
  GatherGrad: isGradient,
  SliceGrad: isGradient,
  MaxPoolGrad: isGradient,
  InPlaceAccumulatorV2: isGradient,
  PassThrough: isGradient,
  SGDOptimizerV2: isGradient,
  AdamWOptimizer: isGradient,
};
