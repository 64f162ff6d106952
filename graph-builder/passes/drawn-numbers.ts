import type { Builder } from "../builder.ts";
import { castLike } from "../composites.ts";
import { DRAWN_BITS, drawnNumbers } from "../counter-hash.ts";
import { isOp, type Node, type Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";

/** What random numbers of a node depend on: `base` (`drawBase`) and the name of its stream. */
export interface NodeDraw {
  readonly base: Value;
  readonly stream: string;
}

/** Whether a node draws random numbers that `drawnOutput` can draw in its place. */
export function draws(node: Node): boolean {
  return isOp(node, "RandomNormalLike", "RandomUniformLike", "RandomNormal", "RandomUniform", "Bernoulli");
}

/**
 * Appends what a node that draws random numbers computes, from numbers that depend on `draw` alone. Uniform
 * numbers are multiples of 2^-24; normal ones are theirs by G. Box and M. Muller, "A Note on the Generation
 * of Random Normal Deviates", 1958. A `seed` of the node says nothing here.
 */
export function drawnOutput(
  g: Builder,
  node: Node,
  inputs: readonly (Value | null)[],
  draw: NodeDraw,
): Value {
  const type = node.output(0);
  const like = inputs[0] ?? g.Expand(g.float(0), g.int64(type.shape.map(Number)));
  const uniform = (stream: string) => uniformLike(g, like, { ...draw, stream });
  if (isOp(node, "Bernoulli")) {
    const share = g.Cast(like, { to: dataTypeNumbers.float });
    return g.Cast(g.Less(uniform(draw.stream), share), { to: dataTypeNumbers[type.elemType] });
  }
  if (isOp(node, "RandomUniform", "RandomUniformLike")) {
    const { low, high } = node.attributes;
    return castLike(g, g.Add(g.Mul(uniform(draw.stream), g.float(high - low)), g.float(low)), type);
  }
  if (!isOp(node, "RandomNormal", "RandomNormalLike")) throw new TypeError(`${node.opType} draws no numbers`);
  const { mean, scale } = node.attributes;
  // above 0, so that the logarithm is finite
  const radius = g.Sqrt(g.Mul(g.Log(g.Sub(g.float(1), uniform(`${draw.stream}/radius`))), g.float(-2)));
  const angle = g.Mul(uniform(`${draw.stream}/angle`), g.float(2 * Math.PI));
  const normal = g.Mul(radius, g.Cos(angle));
  return castLike(g, g.Add(g.Mul(normal, g.float(scale)), g.float(mean)), type);
}

/** Uniform floats of [0, 1), one for each element of a value. */
function uniformLike(g: Builder, like: Value, draw: NodeDraw): Value {
  const whole = g.Cast(drawnNumbers(g, draw, like), { to: dataTypeNumbers.float });
  return g.Mul(whole, g.float(2 ** -DRAWN_BITS));
}
