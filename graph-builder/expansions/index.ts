import type { OpType } from "../operators/index.ts";
import { attention } from "./attention.ts";
import type { Expansion } from "./expansion.ts";
import { fusedMatMul } from "./fused-mat-mul.ts";
import { gridSample } from "./grid-sample.ts";
import { negativeLogLikelihood } from "./negative-log-likelihood.ts";
import { roiAlign } from "./roi-align.ts";
import { rotaryEmbedding } from "./rotary-embedding.ts";

/** The operators that are lowered to, and differentiated through, simpler ones on every device. */
export const expansions = {
  Attention: attention,
  FusedMatMul: fusedMatMul,
  GridSample: gridSample,
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  RoiAlign: roiAlign,
  RotaryEmbedding: rotaryEmbedding,
} satisfies { readonly [K in OpType]?: Expansion<K> };
