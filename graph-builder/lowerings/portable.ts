import { expansions } from "../expansions/index.ts";
import type { training } from "../operators/training.ts";
import { activations } from "./activations.ts";
import { algebra } from "./algebra.ts";
import { convGrad, textbookWeightGradient } from "./convolution.ts";
import { crossEntropyGrad, crossEntropyLoss } from "./cross-entropy.ts";
import type { Lower, Lowering } from "./lower.ts";
import { normalization } from "./normalization.ts";
import { gatherGrad, maxPoolGrad, scatterInFloat, sliceGrad } from "./placement.ts";
import { recurrent } from "./recurrent.ts";

/**
 * Training operators that write into their inputs, or update all parameters at once. They have no lowering.
 */
type InPlace = "InPlaceAccumulatorV2" | "InplaceClipGradNorm" | "SGDOptimizerV2" | "AdamWOptimizer";

type Portable = Lowering & {
  readonly [K in Exclude<keyof typeof training, InPlace>]: Lower<K>;
};

/**
 * Training operators in terms of ai.onnx opset 17, with operators that every execution provider of ONNX
 * Runtime has.
 */
export const portable: Portable = {
  ...activations,
  ...algebra,
  ...normalization,
  ...recurrent,
  ...expansions,
  ConvGrad: convGrad(textbookWeightGradient),
  SoftmaxCrossEntropyLoss: crossEntropyLoss(),
  SoftmaxCrossEntropyLossGrad: crossEntropyGrad,
  GatherGrad: gatherGrad,
  SliceGrad: sliceGrad,
  MaxPoolGrad: maxPoolGrad,
  ...scatterInFloat,
};
