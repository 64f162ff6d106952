import type { Builder, Value } from "../graph-builder/index.ts";
import { blockCount, type NetworkSettings } from "./network.ts";
import type { Joining } from "./network-mode.ts";
import { regularizationOf } from "./regularization.ts";
import { expectedFactor } from "./shake-drop.ts";

/** How a graph without noise joins branches: with the expectation of the training's factors. */
export function evaluationJoining(g: Builder, settings: NetworkSettings): Joining {
  if (regularizationOf(settings) !== "shake-drop") return evenJoining(g);
  const blocks = blockCount(settings);
  return {
    ...evenJoining(g),
    drop: (branch, block) => g.Mul(branch, g.float(expectedFactor(block, blocks, settings.survival))),
  };
}

/** How a graph joins branches where training has no noise: the mean of two, and one as it is. */
export function evenJoining(g: Builder): Joining {
  return { mix: (branch1, branch2) => evenMix(g, branch1, branch2), drop: (branch) => branch };
}

/** (branch1 + branch2) / 2, which equals ShakeForward with alpha = 0.5. */
function evenMix(g: Builder, branch1: Value, branch2: Value): Value {
  return g.Mul(g.Add(branch1, branch2), g.float(0.5));
}
