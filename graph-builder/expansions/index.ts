import type { OpType } from "../operators/index.ts";
import type { Expansion } from "./expansion.ts";
import { negativeLogLikelihood } from "./negative-log-likelihood.ts";

/** The operators that are lowered to, and differentiated through, simpler ones on every device. */
export const expansions = {
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
} satisfies { readonly [K in OpType]?: Expansion<K> };
