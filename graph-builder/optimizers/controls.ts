import type { Binding } from "../bindings.ts";
import type { Builder } from "../builder.ts";
import { freeName, nameOf } from "../names.ts";
import type { Update } from "./rules.ts";
import type { OptimizerRule } from "./step-graph.ts";

/**
 * Appends the inputs `learning_rate` float [1] and, for AdamW, `step` int64 [1], and returns them with their
 * bindings. A name in `taken` gets a number appended.
 */
export function appendControls(
  g: Builder,
  rule: OptimizerRule,
  taken: Set<string>,
): { controls: Pick<Update, "learningRate" | "step">; bindings: Binding[] } {
  const learningRate = g.input(freeName("learning_rate", taken), "float", [1]);
  const bindings: Binding[] = [{ role: "learning-rate", input: nameOf(learningRate) }];
  if (rule.kind !== "adamw") return { controls: { learningRate }, bindings };
  const step = g.input(freeName("step", taken), "int64", [1]);
  return {
    controls: { learningRate, step },
    bindings: [...bindings, { role: "step", input: nameOf(step) }],
  };
}
