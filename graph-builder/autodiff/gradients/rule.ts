import type { Builder } from "../../builder.ts";
import type { Node, Value } from "../../ir.ts";
import type { FunctionType, OpType } from "../../operators/index.ts";

/**
 * A node for which a rule computes gradients: inputs `I(i)`, outputs `O(i)`, and the gradients of its
 * outputs. `I` and `O` return a value's substitute where the backward pass has one.
 */
export interface Backward<K extends OpType | FunctionType = OpType | FunctionType> {
  readonly node: Node<K>;
  readonly attributes: Node<K>["attributes"];
  readonly I: (index: number) => Value;
  /** The input at `index`, or null where the node has none. */
  readonly optional: (index: number) => Value | null;
  readonly O: (index: number) => Value;
  /** The gradient of output 0. */
  readonly dY: Value;
  /**
   * The gradients of `targets` where those of other values of a builder's graph are given, for a rule that
   * differentiates what it has appended itself.
   */
  readonly propagate: Propagate;
  /** The gradient of the output at `index`; zeros where the loss does not depend on it. */
  readonly dO: (index: number) => Value;
  /** The gradient of the output at `index`; undefined where the loss does not depend on it. */
  readonly arriving: (index: number) => Value | undefined;
  /** Whether the gradient of the input at `index` is needed. */
  readonly isWanted: (index: number) => boolean;
}

/** Appends the backward pass from given gradients to the targets, and returns the targets' gradients. */
export type Propagate = (
  g: Builder,
  given: ReadonlyMap<Value, Value>,
  targets: readonly Value[],
) => readonly Value[];

/**
 * Returns one gradient per input: a value, a function that is called only where the gradient is needed, or
 * null.
 */
export type GradientRule<K extends OpType | FunctionType = OpType | FunctionType> = (
  g: Builder,
  back: Backward<K>,
) => readonly (Value | (() => Value) | null)[];

/**
 * An operator's rule, "zero" where the derivative is 0 wherever it exists, or the reason why it has no
 * gradient.
 */
export type Gradient<K extends OpType | FunctionType = OpType | FunctionType> =
  | GradientRule<K>
  | "zero"
  | { readonly none: string };

/** The gradients of a family: an entry for every operator of its table. */
export type Gradients<Family> = { readonly [K in keyof Family & OpType]: Gradient<K> };
