import type { Message } from "../onnx/schema.ts";
import type { ValueType } from "../types.ts";
import type { AnyOperator } from "./index.ts";
import type { Domain } from "./schema.ts";

/** What a node that is kept as its file has it carries beside its inputs. */
export interface KeptForm {
  /**
   * The versions that the file imports of the node's domain, and of the domains in its attributes' graphs.
   */
  readonly imports: ReadonlyMap<Domain, number>;
  /** Why the node is not read further, such as `the operator is not supported`. */
  readonly reason: string;
  readonly attributes: readonly Message<"AttributeProto">[];
  /** The names that the attributes' graphs read from around them; the node's last inputs are their values. */
  readonly captured: readonly string[];
}

/**
 * The declaration of an operator whose node is kept as its file has it: such a node is printed, written and
 * run, and no gradient goes through it. `outputs` are the types of its outputs, in order.
 */
export function keptOperator(
  { domain, opType }: { readonly domain: Domain; readonly opType: string },
  outputs: readonly { readonly isNamed: boolean; readonly type: ValueType }[],
  kept: KeptForm,
): AnyOperator {
  return {
    domain,
    opType,
    kept,
    inputs: ["inputs..."],
    outputs: outputs.map(({ isNamed }, i) => (isNamed ? `output${i}` : `output${i}?`)),
    attributes: {},
    isRandom: true,
    infer: () => outputs.map(({ type }) => type),
  };
}
