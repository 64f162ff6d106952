import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { LOSS_SCALE } from "../mixed-precision.ts";

/**
 * The input that counts the steps since the loss scale changed or a step was skipped: float, no dimensions.
 */
export const GOOD_STEPS = "good_steps";

/** The loss scale of a training that begins, as PyTorch's GradScaler's. */
export const INITIAL_LOSS_SCALE = 65536;

/** The steps without an overflow after which the loss scale is doubled, as PyTorch's GradScaler does. */
export const GROWTH_INTERVAL = 2000;

/**
 * Returns the next states where all gradients are finite, and the old ones where not, with the next loss
 * scale and the next count of good steps. The loss scale is halved where a gradient is not finite, and
 * doubled after GROWTH_INTERVAL steps without an overflow.
 */
export function guardStates(
  g: Builder,
  next: ReadonlyMap<string, Value>,
  states: ReadonlyMap<string, Value>,
  scale: Value,
  gradients: readonly Value[],
): Map<string, Value> {
  // 0 * x is 0 for a finite x and not a number else, and so is the sum
  const sums = gradients.map((value) => g.ReduceSum(g.Mul(value, g.float(0)), null, { keepdims: 0 }));
  const sum = g.Sum(...sums);
  const finite = g.Equal(sum, sum);
  const kept = new Map(
    [...next].map(([name, value]) => [name, g.Where(finite, value, states.get(name) ?? value)]),
  );
  const good = g.Add(g.input(GOOD_STEPS, "float", []), g.float(1));
  const grows = g.Greater(good, g.float(GROWTH_INTERVAL - 0.5));
  const grown = g.Where(grows, g.Mul(scale, g.float(2)), scale);
  kept.set(LOSS_SCALE, g.Where(finite, grown, g.Mul(scale, g.float(0.5))));
  kept.set(GOOD_STEPS, g.Where(g.And(finite, g.Not(grows)), good, g.float(0)));
  return kept;
}
