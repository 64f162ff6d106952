import type { Given } from "../../graph-builder/builder.ts";
import { Tensor } from "../../graph-builder/index.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { integers, normal } from "./random-tensor.ts";

const flat = { Q: normal(["batch", 3, 8]), K: normal(["batch", 4, 8]), V: normal(["batch", 4, 4]) };
const heads = { Q: normal(["batch", 4, 3, 2]), K: normal(["batch", 2, 5, 2]), V: normal(["batch", 2, 5, 3]) };
const sizes = { q_num_heads: 4, kv_num_heads: 4 };

function masked(
  title: string,
  allowed: readonly number[],
  attributes: Given<"Attention"> = {},
): OperatorCase {
  return of("Attention", title, heads, (g, { Q, K, V }) => {
    const mask = g.constant(new Tensor("bool", [3, allowed.length / 3], Uint8Array.from(allowed)));
    return g.Attention(Q, K, V, mask, attributes)[0];
  });
}

const attention: readonly OperatorCase[] = [
  of("Attention", "heads side by side", flat, (g, { Q, K, V }) => g.Attention(Q, K, V, sizes)[0]),
  of(
    "Attention",
    "causal, scale, softcap",
    flat,
    (g, { Q, K, V }) => g.Attention(Q, K, V, { ...sizes, is_causal: 1, scale: 0.7, softcap: 2 })[0],
  ),
  of("Attention", "two heads of queries for one of keys", heads, (g, { Q, K, V }) => g.Attention(Q, K, V)[0]),
  of(
    "Attention",
    "a mask of numbers",
    { ...heads, mask: normal([3, 5]) },
    (g, { Q, K, V, mask }) => g.Attention(Q, K, V, mask)[0],
  ),
  masked("a mask of booleans", [1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1], { is_causal: 1 }),
  masked("a query that may attend no key", [1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1]),
  masked("a mask that ends before the last key", [1, 0, 1, 0, 1, 1]),
  of(
    "Attention",
    "a window",
    heads,
    (g, { Q, K, V }) => g.Attention(Q, K, V, { left_window_size: 1, right_window_size: 2 })[0],
  ),
  of(
    "Attention",
    "keys and values of earlier steps",
    { ...heads, pastK: normal(["batch", 2, 2, 2]), pastV: normal(["batch", 2, 2, 3]) },
    (g, { Q, K, V, pastK, pastV }) => [...g.Attention(Q, K, V, null, pastK, pastV, { is_causal: 1 })],
  ),
  of(
    "Attention",
    "keys of several lengths",
    { ...heads, lengths: integers([3, 5, 4], ["batch"]) },
    (g, { Q, K, V, lengths }) =>
      g.Attention(Q, K, V, null, null, null, lengths, { is_causal: 1, qk_matmul_output_mode: 3 })[3],
  ),
  of(
    "Attention",
    "to itself, softmax in double",
    { X: normal(["batch", 2, 3, 4]) },
    (g, { X }) => g.Attention(X, X, X, { softmax_precision: 11 })[0],
  ),
];

const cache = {
  cos: normal([6, 2]),
  sin: normal([6, 2]),
  places: integers([0, 3, 5, 1, 1, 2], ["batch", 2]),
};
const caches = { cos: normal(["batch", 2, 1]), sin: normal(["batch", 2, 1]) };

const rotary: readonly OperatorCase[] = [
  of(
    "RotaryEmbedding",
    "halves, by places",
    { X: normal(["batch", 3, 2, 4]), ...cache },
    (g, { X, cos, sin, places }) => g.RotaryEmbedding(X, cos, sin, places),
  ),
  of(
    "RotaryEmbedding",
    "neighbours, heads side by side",
    { X: normal(["batch", 2, 8]), ...cache },
    (g, { X, cos, sin, places }) => g.RotaryEmbedding(X, cos, sin, places, { interleaved: 1, num_heads: 2 }),
  ),
  of(
    "RotaryEmbedding",
    "a part of each head, without places",
    { X: normal(["batch", 2, 8]), ...caches },
    (g, { X, cos, sin }) => g.RotaryEmbedding(X, cos, sin, { num_heads: 2, rotary_embedding_dim: 2 }),
  ),
];

/** Cases of attention, and of what encodes positions for it. */
export const attentionCases: readonly OperatorCase[] = [...attention, ...rotary];
