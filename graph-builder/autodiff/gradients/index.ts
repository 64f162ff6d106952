import type { OpType } from "../../operators/index.ts";
import { activations } from "./activations.ts";
import { algebra } from "./algebra.ts";
import { attention } from "./attention.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { layouts } from "./layouts.ts";
import { neural } from "./neural.ts";
import { quantization } from "./quantization.ts";
import { random } from "./random.ts";
import { recurrent } from "./recurrent/index.ts";
import { reductions } from "./reductions.ts";
import type { Gradient } from "./rule.ts";
import { sampling } from "./sampling.ts";
import { tensors } from "./tensors.ts";
import { training } from "./training.ts";

export type { Backward, Gradient, GradientRule, Propagate } from "./rule.ts";

/**
 * The vector-Jacobian product of every operator. dY is the gradient of the output Y, and dX of the input X.
 * Autodiff sums broadcast axes afterwards.
 */
export const gradients: { readonly [K in OpType]: Gradient<K> } = {
  ...elementwise,
  ...activations,
  ...tensors,
  ...indexing,
  ...reductions,
  ...algebra,
  ...neural,
  ...sampling,
  ...attention,
  ...recurrent,
  ...random,
  ...training,
  ...layouts,
  ...quantization,
};
