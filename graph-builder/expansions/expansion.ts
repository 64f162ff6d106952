import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import type { Attributes, OpType } from "../operators/index.ts";

/** What an operator is applied to: its inputs `I(i)` and its attributes. */
export interface Operation<K extends OpType> {
  readonly I: (index: number) => Value;
  /** The input at `index`, or null where there is none. */
  readonly optional: (index: number) => Value | null;
  readonly attributes: Attributes<K>;
}

/**
 * Appends simpler operators that compute what an operator does (in ONNX's words its function body), and
 * returns its outputs. The operator's lowering and its gradient are both made from it, so that the nodes that
 * both need are equal, and `mergeCommonSubexpressions` keeps them once.
 */
export type Expansion<K extends OpType> = (g: Builder, operation: Operation<K>) => readonly Value[];

/** The inputs and the attributes as an expansion wants them. */
export function operationOn<K extends OpType>(
  opType: K,
  inputs: readonly (Value | null)[],
  attributes: Attributes<K>,
): Operation<K> {
  return {
    I: (index) => {
      const value = inputs[index];
      if (!value) throw new TypeError(`${opType} has no input ${index}`);
      return value;
    },
    optional: (index) => inputs[index] ?? null,
    attributes,
  };
}
