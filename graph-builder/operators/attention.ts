import { type Dim, productOf, quotientOf, sumOf } from "../dims.ts";
import { type Shape, tensorType } from "../types.ts";
import { dimAt, refuse, sameAs } from "./inference.ts";
import { attribute, type Operand, operator, optional } from "./schema.ts";

/**
 * Queries, keys or values as [batch, heads, length, size of a head]; 3-D ones have the heads side by side.
 */
function headsOf({ shape }: Operand, heads: number | undefined): readonly [Dim, Dim, Dim, Dim] {
  if (shape.length === 4) return [dimAt(shape, 0), dimAt(shape, 1), dimAt(shape, 2), dimAt(shape, 3)];
  if (shape.length !== 3) return refuse("needs Q, K and V with 3 or 4 axes");
  if (!heads) return refuse("with 3 axes the number of heads must be given");
  const size = quotientOf(dimAt(shape, 2), heads);
  if (size === undefined) return refuse(`${shape[2]} is not a multiple of the ${heads} heads`);
  return [dimAt(shape, 0), heads, dimAt(shape, 1), size];
}

/** The keys or values of earlier steps and of this one. */
function present(past: Operand | null | undefined, now: Shape): Shape {
  return past ? now.map((dim, i) => (i === 2 ? sumOf(dimAt(past.shape, 2), dim) : dim)) : now;
}

/** Attention, and what encodes positions for it. */
export const attention = {
  Attention: operator({
    since: ({ left_window_size: left, right_window_size: right }, inputs) => {
      if (left >= 0 || right >= 0) return 25;
      return inputs[6] ? 24 : 23;
    },
    inputs: ["Q", "K", "V", "attn_mask?", "past_key?", "past_value?", "nonpad_kv_seqlen?"],
    outputs: ["Y", "present_key?", "present_value?", "qk_matmul_output?"],
    attributes: {
      is_causal: attribute("int", 0),
      kv_num_heads: optional("int"),
      left_window_size: attribute("int", -1),
      q_num_heads: optional("int"),
      qk_matmul_output_mode: attribute("int", 0),
      right_window_size: attribute("int", -1),
      scale: optional("float"),
      softcap: attribute("float", 0),
      softmax_precision: optional("int"),
    },
    infer: ([Q, K, V, , pastKey, pastValue], { q_num_heads, kv_num_heads }) => {
      if (!pastKey !== !pastValue) refuse("needs both past_key and past_value, or neither");
      const [batch, heads, length] = headsOf(Q, q_num_heads);
      const keys = present(pastKey, headsOf(K, kv_num_heads));
      const values = present(pastValue, headsOf(V, kv_num_heads));
      if (quotientOf(heads, dimAt(keys, 1)) === undefined)
        refuse(`${heads} heads of Q are not a multiple of the ${keys[1]} of K`);
      const size = dimAt(values, 3);
      const Y =
        Q.shape.length === 3 ? [batch, length, productOf([heads, size])] : [batch, heads, length, size];
      const scores = [batch, heads, length, dimAt(keys, 2)];
      return [Y, keys, values, scores].map((shape) => tensorType(Q.elemType, shape));
    },
  }),
  RotaryEmbedding: operator({
    since: 23,
    inputs: ["X", "cos_cache", "sin_cache", "position_ids?"],
    outputs: ["Y"],
    attributes: {
      interleaved: attribute("int", 0),
      num_heads: attribute("int", 0),
      rotary_embedding_dim: attribute("int", 0),
    },
    infer: ([X], { num_heads }) => {
      headsOf(X, num_heads);
      return sameAs(X);
    },
  }),
};
