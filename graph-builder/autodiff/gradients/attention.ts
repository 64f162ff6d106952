import { attention as expanded } from "../../expansions/attention.ts";
import { rotaryEmbedding } from "../../expansions/rotary-embedding.ts";
import type { attention as operators } from "../../operators/attention.ts";
import { throughExpansion } from "./expanded.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of attention, and of what encodes positions for it. */
export const attention: Gradients<typeof operators> = {
  Attention: throughExpansion(expanded),
  RotaryEmbedding: throughExpansion(rotaryEmbedding),
};
