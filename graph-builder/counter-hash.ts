import type { Builder } from "./builder.ts";
import { productOf, quotientOf } from "./dims.ts";
import type { Value } from "./ir.ts";
import { dataTypeNumbers } from "./operators/elementwise.ts";
import { hashName } from "./random.ts";
import { Tensor } from "./tensor.ts";

/**
 * What random numbers in a graph depend on: a graph that computes them from a seed and the number of the draw
 * draws the same ones wherever and whenever it runs. The generator is SplitMix64 (Steele, Lea and Flood,
 * "Fast splittable pseudorandom number generators", OOPSLA 2014). RandomStream's Philox4x32-10 would take
 * five times as many operators.
 */
export interface Draw {
  readonly seed: number | bigint;
  /** The number of the draw; each number gives other random numbers. */
  readonly step: number | bigint;
  /** The name of the stream. Streams of different names are independent. */
  readonly stream: string;
}

/** The bits of a number that a graph draws. */
export const DRAWN_BITS = 24;

/** The distance of two states, and the two rounds and the last shift of the mix: z = (z ^ (z >> s)) * m. */
const WEYL = 0x9e3779b97f4a7c15n;
const rounds: readonly (readonly [shift: bigint, multiplier: bigint])[] = [
  [30n, 0xbf58476d1ce4e5b9n],
  [27n, 0x94d049bb133111ebn],
];
const LAST_SHIFT = 31n;

/** The 64 bits at an index, which is a whole number from 0. A graph computes the same. */
export function drawnBits({ seed, step, stream }: Draw, index: number): bigint {
  const base = splitMix64(splitMix64(BigInt(seed)) + BigInt(step)) + hashName(stream);
  return splitMix64(base + BigInt(index) * WEYL);
}

/** The output of SplitMix64 at a state, of which the lowest 64 bits count. */
export function splitMix64(start: bigint): bigint {
  const state = rounds.reduce(
    (z, [shift, multiplier]) => BigInt.asUintN(64, (z ^ (z >> shift)) * multiplier),
    BigInt.asUintN(64, start),
  );
  return state ^ (state >> LAST_SHIFT);
}

/** Appends what all streams of a graph start from, int64 [1]; `seed` and `step` are int64 [1]. */
export function drawBase(g: Builder, seed: Value, step: Value): Value {
  return asInt64(g, mixed(g, g.Add(asInt64(g, mixed(g, seed)), step)));
}

/**
 * Appends uniform whole numbers from 0 to 2^DRAWN_BITS - 1, int32, one for each element of a value. The
 * highest and the lowest bits at an index of the stream give a number each; all numbers of the highest bits
 * come first. Where the number of elements may be odd, the highest bits alone are used.
 */
export function drawnNumbers(
  g: Builder,
  { base, stream }: { readonly base: Value; readonly stream: string },
  like: Value,
): Value {
  const isEven = quotientOf(productOf(like.shape), 2) !== undefined;
  const count = isEven ? g.Div(g.Size(like), g.int64(2)) : g.Size(like);
  const index = g.Range(g.int64(0), count, g.int64(1));
  const start = g.Add(base, int64(g, hashName(stream)));
  const bits = mixed(g, g.Add(g.Mul(index, int64(g, WEYL)), start));
  const highest = asInt32(g, shifted(g, bits, BigInt(64 - DRAWN_BITS)));
  if (!isEven) return g.Reshape(highest, g.Shape(like));
  const lowest = asInt32(g, g.BitwiseAnd(bits, uint64(g, 2n ** BigInt(DRAWN_BITS) - 1n)));
  return g.Reshape(g.Concat(highest, lowest, { axis: 0 }), g.Shape(like));
}

/** The mix of int64 numbers as uint64; ONNX Runtime multiplies int64, and shifts uint64. */
function mixed(g: Builder, start: Value): Value {
  const asUint64 = (z: Value) => g.Cast(z, { to: dataTypeNumbers.uint64 });
  const folded = (z: Value, shift: bigint) => g.BitwiseXor(z, shifted(g, z, shift));
  const state = rounds.reduce(
    (z, [shift, multiplier]) => asUint64(g.Mul(asInt64(g, folded(z, shift)), int64(g, multiplier))),
    asUint64(start),
  );
  return folded(state, LAST_SHIFT);
}

function shifted(g: Builder, bits: Value, places: bigint): Value {
  return g.BitShift(bits, uint64(g, places), { direction: "RIGHT" });
}

function asInt64(g: Builder, z: Value): Value {
  return g.Cast(z, { to: dataTypeNumbers.int64 });
}

function asInt32(g: Builder, z: Value): Value {
  return g.Cast(z, { to: dataTypeNumbers.int32 });
}

function int64(g: Builder, bits: bigint): Value {
  return g.constant(new Tensor("int64", [], BigInt64Array.of(BigInt.asIntN(64, bits))));
}

function uint64(g: Builder, bits: bigint): Value {
  return g.constant(new Tensor("uint64", [], BigUint64Array.of(bits)));
}
