import type { Builder } from "../builder.ts";
import { castLike, floatLike, sizeAt } from "../composites.ts";
import { sameDim } from "../dims.ts";
import type { Value } from "../ir.ts";
import type { Attributes } from "../operators/index.ts";
import { dimAt, staticDim } from "../operators/inference.ts";
import type { Expansion, Operation } from "./expansion.ts";

/** Queries, keys and values as [batch, heads, length, size of a head], those of earlier steps in front. */
interface Heads {
  readonly Q: Value;
  readonly K: Value;
  readonly V: Value;
}

/**
 * Y = softmax(Q K' * scale + bias) V, with the scores limited to softcap * tanh(scores / softcap) before the
 * bias is added. A query that may attend no key has the output 0.
 */
export const attention: Expansion<"Attention"> = (g, operation) => {
  const { I, attributes } = operation;
  const { Q, K, V } = headsOf(g, operation);
  const scale = attributes.scale ?? 1 / Math.sqrt(staticDim(Q.shape, 3));
  const repeats = staticDim(Q.shape, 1) / staticDim(K.shape, 1);
  const keys = g.Transpose(repeated(g, K, repeats), { perm: [0, 1, 3, 2] });
  const scores = g.MatMul(g.Mul(Q, floatLike(g, Q, scale)), keys);
  const capped = limited(g, scores, attributes.softcap);
  const { masked, mayBeEmpty } = withBias(g, capped, { Q, K, V }, operation);
  const probabilities = softmax(g, masked, mayBeEmpty, attributes.softmax_precision);
  const attended = g.MatMul(probabilities, repeated(g, V, repeats));
  const stages = [scores, capped, masked, probabilities];
  const Y =
    I(0).shape.length === 4
      ? attended
      : g.Reshape(g.Transpose(attended, { perm: [0, 2, 1, 3] }), g.int64([0, 0, -1]));
  return [Y, K, V, stages[attributes.qk_matmul_output_mode] ?? scores];
};

function headsOf(g: Builder, { I, optional, attributes }: Operation<"Attention">): Heads {
  const { q_num_heads = 0, kv_num_heads = 0 } = attributes;
  const apart = (X: Value, heads: number) =>
    X.shape.length === 4 ? X : g.Transpose(g.Reshape(X, g.int64([0, 0, heads, -1])), { perm: [0, 2, 1, 3] });
  const joined = (past: Value | null, now: Value) => (past ? g.Concat(past, now, { axis: 2 }) : now);
  return {
    Q: apart(I(0), q_num_heads),
    K: joined(optional(4), apart(I(1), kv_num_heads)),
    V: joined(optional(5), apart(I(2), kv_num_heads)),
  };
}

/** Each head of keys or values as often as queries share it: [h0, h0, h1, h1, ...]. */
function repeated(g: Builder, X: Value, times: number): Value {
  if (times === 1) return X;
  const copies = g.Expand(g.Unsqueeze(X, g.int64([2])), g.int64([1, 1, times, 1, 1]));
  return g.Reshape(copies, g.int64([0, staticDim(X.shape, 1) * times, -1, staticDim(X.shape, 3)]));
}

function limited(g: Builder, scores: Value, softcap: number): Value {
  if (softcap === 0) return scores;
  const cap = floatLike(g, scores, softcap);
  return g.Mul(g.Tanh(g.Div(scores, cap)), cap);
}

/** The scores with the mask added, and -Infinity where a query may not attend a key. */
function withBias(
  g: Builder,
  scores: Value,
  heads: Heads,
  { optional, attributes }: Operation<"Attention">,
): { readonly masked: Value; readonly mayBeEmpty: boolean } {
  const [mask, lengths] = [optional(3), optional(6)];
  const low = floatLike(g, scores, Number.NEGATIVE_INFINITY);
  const isBool = mask?.elemType === "bool";
  const given = mask && isBool ? g.Where(mask, floatLike(g, scores, 0), low) : mask;
  const biased = given ? g.Add(scores, asWide(g, given, scores)) : scores;
  const allowed = allowedPlaces(g, heads, { past: optional(4), lengths, attributes });
  const [first, ...others] = allowed;
  const masked = first
    ? g.Where(
        others.reduce((all, each) => g.And(all, each), first),
        biased,
        low,
      )
    : biased;
  const isWindow = attributes.left_window_size >= 0 || attributes.right_window_size >= 0;
  return { masked, mayBeEmpty: mask !== null || lengths !== null || isWindow };
}

/** A mask that ends before the last key forbids those behind it. */
function asWide(g: Builder, mask: Value, scores: Value): Value {
  const [rank, axis] = [mask.shape.length, scores.shape.length - 1];
  if (sameDim(dimAt(mask.shape, rank - 1), dimAt(scores.shape, axis))) return mask;
  const behind = g.Sub(g.Shape(scores, { start: axis }), g.Shape(mask, { start: rank - 1 }));
  const pads = g.Concat(g.int64(Array(2 * rank - 1).fill(0)), behind, { axis: 0 });
  const like = castLike(g, mask, scores);
  return g.Pad(like, pads, floatLike(g, scores, Number.NEGATIVE_INFINITY));
}

/** Which keys a query may attend by its place: booleans that broadcast to the scores. */
function allowedPlaces(
  g: Builder,
  { Q, K }: Heads,
  {
    past,
    lengths,
    attributes: { is_causal, left_window_size: left, right_window_size: right },
  }: {
    readonly past: Value | null;
    readonly lengths: Value | null;
    readonly attributes: Attributes<"Attention">;
  },
): Value[] {
  if (!is_causal && left < 0 && right < 0 && !lengths) return [];
  const row = (size: Value) => g.Range(g.int64(0), size, g.int64(1));
  const keys = row(sizeAt(g, K, 2));
  const perBatch = lengths && g.Unsqueeze(lengths, g.int64([1, 2, 3]));
  const queries = sizeAt(g, Q, 2);
  const offset = perBatch ? g.Sub(perBatch, queries) : past && sizeAt(g, past, 2);
  const rows = g.Unsqueeze(row(queries), g.int64([1]));
  const places = offset ? g.Add(rows, offset) : rows;
  return [
    ...(is_causal ? [g.LessOrEqual(keys, places)] : []),
    ...(left >= 0 ? [g.GreaterOrEqual(keys, g.Sub(places, g.int64(left)))] : []),
    ...(right >= 0 ? [g.LessOrEqual(keys, g.Add(places, g.int64(right)))] : []),
    ...(perBatch ? [g.Less(keys, perBatch)] : []),
  ];
}

/** The softmax over the keys; with `mayBeEmpty`, a row of -Infinity becomes zeros. */
function softmax(g: Builder, scores: Value, mayBeEmpty: boolean, precision: number | undefined): Value {
  const wide = precision === undefined ? scores : g.Cast(scores, { to: precision });
  if (!mayBeEmpty) return castLike(g, g.Softmax(wide), scores);
  const zero = floatLike(g, wide, 0);
  const isEmpty = g.Equal(g.ReduceMax(wide, { axes: [-1] }), floatLike(g, wide, Number.NEGATIVE_INFINITY));
  const safe = g.Softmax(g.Where(isEmpty, zero, wide));
  return castLike(g, g.Where(isEmpty, zero, safe), scores);
}
