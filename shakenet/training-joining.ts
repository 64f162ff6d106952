import type { Builder, Value } from "../graph-builder/index.ts";
import { evenJoining } from "./evaluation-joining.ts";
import { shakeDropForward, shakeForward } from "./functions.ts";
import { blockCount, type NetworkSettings } from "./network.ts";
import type { Joining } from "./network-mode.ts";
import { regularizationOf } from "./regularization.ts";

/** How a training graph joins branches, with the random numbers as its inputs, float [blocks, batch]. */
export interface TrainingJoining extends Joining {
  /** From each block's alpha to its beta. */
  readonly substitutes: ReadonlyMap<Value, Value>;
}

/**
 * Appends the inputs of a training graph's noise, and returns how it joins branches. Shake-Shake takes
 * `alpha` and `beta`, ShakeDrop takes `b` too, and `none` takes nothing.
 */
export function trainingJoining(g: Builder, settings: NetworkSettings): TrainingJoining {
  const regularization = regularizationOf(settings);
  if (regularization === "none") return { ...evenJoining(g), substitutes: new Map() };
  const blocks = blockCount(settings);
  const input = (name: string) => g.input(name, "float", [blocks, "batch"]);
  const [alpha, beta] = [input("alpha"), input("beta")];
  const substitutes = new Map<Value, Value>();
  const alphaOf = (block: number) => {
    const weight = g.Gather(alpha, g.int64(block));
    substitutes.set(weight, g.Gather(beta, g.int64(block)));
    return weight;
  };
  const b = regularization === "shake-drop" ? input("b") : undefined;
  return {
    substitutes,
    mix: (branch1, branch2, block) => g.call(shakeForward, [branch1, branch2, alphaOf(block)]),
    drop: (branch, block) =>
      b ? g.call(shakeDropForward, [branch, g.Gather(b, g.int64(block)), alphaOf(block)]) : branch,
  };
}
