import type { Value } from "../ir.ts";
import { staticDim } from "../operators/inference.ts";
import type { Expansion } from "./expansion.ts";

/**
 * Turns pairs (a, b) of each head's elements by the angle of their place: a cos - b sin and a sin + b cos. A
 * pair is an element of the first half and one of the second, or two neighbours where `interleaved`.
 */
export const rotaryEmbedding: Expansion<"RotaryEmbedding"> = (g, { I, optional, attributes }) => {
  const { interleaved, num_heads, rotary_embedding_dim } = attributes;
  const isFlat = I(0).shape.length === 3;
  const X = isFlat ? g.Reshape(I(0), g.int64([0, 0, num_heads, -1])) : I(0);
  const size = staticDim(X.shape, 3);
  const turned = rotary_embedding_dim || size;
  const [first, rest] = turned === size ? [X] : g.Split(X, g.int64([turned, size - turned]), { axis: 3 });
  const pairAxis = interleaved ? 4 : 3;
  const places = optional(3);
  // [batch, length, pairs], with an axis for the heads and one for the two of a pair
  const angles = (cache: Value) =>
    g.Unsqueeze(places ? g.Gather(cache, places) : cache, g.int64([isFlat ? 2 : 1, pairAxis]));
  const [cos, sin] = [angles(I(1)), angles(I(2))];
  const half = turned / 2;
  const pairs = g.Reshape(first ?? X, g.int64([0, 0, 0, ...(interleaved ? [half, 2] : [2, half])]));
  const [a, b] = g.Split(pairs, g.int64([1, 1]), { axis: pairAxis });
  if (!a || !b) throw new TypeError("a Split into two has two outputs");
  const [real, imaginary] = [g.Sub(g.Mul(a, cos), g.Mul(b, sin)), g.Add(g.Mul(a, sin), g.Mul(b, cos))];
  const rotated = g.Reshape(g.Concat(real, imaginary, { axis: pairAxis }), g.int64([0, 0, 0, turned]));
  const Y = rest ? g.Concat(rotated, rest, { axis: 3 }) : rotated;
  return [isFlat ? g.Reshape(Y, g.int64([0, 0, -1])) : Y];
};
