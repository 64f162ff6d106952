import type { Builder } from "../../builder.ts";
import { type Expansion, operationOn } from "../../expansions/expansion.ts";
import type { Value } from "../../ir.ts";
import type { OpType } from "../../operators/index.ts";
import type { Backward, GradientRule } from "./rule.ts";

/** The rule of an operator that is differentiated through its expansion. */
export function throughExpansion<K extends OpType>(expansion: Expansion<K>): GradientRule<K> {
  return (g, back) => expandedGradients(g, back, expansion);
}

function expandedGradients<K extends OpType>(
  g: Builder,
  { node, attributes, optional, arriving, isWanted, propagate }: Backward<K>,
  expansion: Expansion<K>,
): (Value | null)[] {
  const given = node.inputs.map((_, i) => optional(i));
  // the same value as two inputs has a gradient for each, so both go through Identity
  const isShared = (input: Value) => given.indexOf(input) !== given.lastIndexOf(input);
  const inputs = given.map((input) => (input && isShared(input) ? g.Identity(input) : input));
  const outputs = expansion(g, operationOn(node.opType as K, inputs, attributes));
  const gradients = outputs.flatMap((output, i) => {
    const gradient = arriving(i);
    return gradient ? [[output, gradient] as const] : [];
  });
  const targets = inputs.flatMap((input, i) => (input && isWanted(i) ? [input] : []));
  const results = propagate(g, new Map(gradients), targets);
  return inputs.map((input, i) => (input && isWanted(i) ? (results[targets.indexOf(input)] ?? null) : null));
}
