import type { ParameterSpec } from "../artifacts/parameters.ts";
import type { Value } from "../graph-builder/ir.ts";

/** How a use of the network gets its tensors, joins branches to a block and normalises batches. */
export interface NetworkMode extends Joining {
  readonly tensor: (spec: ParameterSpec) => Value;
  readonly isTraining: boolean;
}

/** What a block, counted from 0, adds to its shortcut. */
export interface Joining {
  /** Mixes the two branches of a block. */
  readonly mix: (branch1: Value, branch2: Value, block: number) => Value;
  /** Scales the branch of a block that has one, or returns it as it is. */
  readonly drop: (branch: Value, block: number) => Value;
}
