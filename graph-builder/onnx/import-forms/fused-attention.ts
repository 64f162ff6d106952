import type { Builder } from "../../builder.ts";
import { floatLike, sizeAt } from "../../composites.ts";
import { type Dim, productOf, sameDim } from "../../dims.ts";
import { attention } from "../../expansions/attention.ts";
import { operationOn } from "../../expansions/expansion.ts";
import { rotaryEmbedding } from "../../expansions/rotary-embedding.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { operators } from "../../operators/index.ts";
import { dimAt, refuse, staticDim, unsupported } from "../../operators/inference.ts";
import { completeAttributes } from "../../operators/schema.ts";
import { type ForeignNode, type ImportForm, numberList } from "./form.ts";
import { given, only, without } from "./fused.ts";

const domain = "com.microsoft";

/** Queries, keys and values: 3-D, heads side by side, or 4-D [batch, heads, length, size of a head]. */
interface Projections {
  readonly Q: Value;
  readonly K: Value;
  readonly V: Value;
}

/** What is added to the scores, and the keys and values of earlier steps. */
interface Around {
  readonly mask: Value | null | undefined;
  readonly bias: Value | null | undefined;
  readonly pastK: Value | null | undefined;
  readonly pastV: Value | null | undefined;
}

/** Attention with the masks and attributes of ONNX Runtime's: Y, the keys and the values. */
function attended(g: Builder, node: ForeignNode, { Q, K, V }: Projections, around: Around): readonly Value[] {
  const { num_heads, scale, unidirectional = 0 } = node.attributes;
  const heads = Number(num_heads ?? refuse("attribute num_heads is missing"));
  const attributes = completeAttributes(operators.Attention.attributes, {
    ...{ q_num_heads: heads, kv_num_heads: heads, is_causal: unidirectional },
    // ONNX Runtime takes 0 for a scale that is left out
    scale: scale || undefined,
  });
  const masked = around.mask && maskBias(g, node, { Q, K, mask: around.mask, past: around.pastK });
  const added = masked && around.bias ? g.Add(masked, around.bias) : (masked ?? around.bias ?? null);
  const inputs = [Q, K, V, added, around.pastK ?? null, around.pastV ?? null];
  return attention(g, operationOn("Attention", inputs, attributes)).slice(0, 3);
}

/**
 * What a mask adds to the scores [batch, heads, queries, keys]: `mask_filter_value` for a key that may not be
 * read. The mask is 1 for those that may, [batch, keys] or [batch, queries, keys]; or it says where the keys
 * of each text end, and then where they start, [batch] or [2 batch].
 */
function maskBias(
  g: Builder,
  { attributes }: ForeignNode,
  { Q, K, mask, past }: { Q: Value; K: Value; mask: Value; past: Value | null | undefined },
): Value {
  const low = floatLike(g, Q, Number(attributes["mask_filter_value"] ?? -10000));
  const rank = mask.shape.length;
  if (rank > 3) return unsupported("a mask of 4 axes is not supported");
  const length = sizeAt(g, K, K.shape.length - 2);
  const keys = past ? g.Add(length, sizeAt(g, past, 2)) : length;
  const isRead = rank === 1 ? withinEnds(g, mask, keys, dimAt(Q.shape, 0)) : isPositive(g, mask);
  return g.Where(isRead, floatLike(g, Q, 0), low);
}

/** Whether a mask is above 0, with axes for the heads and, where it has none, for the queries. */
function isPositive(g: Builder, mask: Value): Value {
  const positive = g.Greater(mask, floatLike(g, mask, 0));
  return g.Unsqueeze(positive, g.int64(mask.shape.length === 2 ? [1, 2] : [1]));
}

/** Whether a key is before the end of its text, and not before its start. */
function withinEnds(g: Builder, mask: Value, keys: Value, batch: Dim): Value {
  const count = dimAt(mask.shape, 0);
  const places = g.Range(g.int64(0), keys, g.int64(1));
  const wide = (limits: Value) => g.Unsqueeze(limits, g.int64([1, 2, 3]));
  const limits = g.Cast(mask, { to: dataTypeNumbers.int64 });
  if (sameDim(count, batch)) return g.Less(places, wide(limits));
  if (!sameDim(count, productOf([2, batch])))
    return unsupported(`a mask [${count}] for ${batch} texts is not supported`);
  const [ends, starts] = g.Split(g.Reshape(limits, g.int64([2, -1])), g.int64([1, 1]), { axis: 0 });
  if (!ends || !starts) throw new TypeError("a Split into two has two outputs");
  const flat = (row: Value) => wide(g.Reshape(row, g.int64([-1])));
  return g.And(g.Less(places, flat(ends)), g.GreaterOrEqual(places, flat(starts)));
}

/** A value along the first axis. */
function entry(g: Builder, value: Value | null | undefined, i: number): Value | null {
  return value ? g.Gather(value, g.int64(i)) : null;
}

/** The widths of queries, keys and values in a product that makes all three. */
function widthsOf({ attributes }: ForeignNode, weights: Value): readonly number[] {
  const { qkv_hidden_sizes: given } = attributes;
  if (given !== undefined) return numberList("qkv_hidden_sizes", given);
  const width = staticDim(weights.shape, 1) / 3;
  return Number.isInteger(width) ? [width, width, width] : refuse("its weights are not three of one width");
}

/** Attention of a value to itself: one product with the merged weights makes queries, keys and values. */
const selfAttention: ImportForm["read"] = (g, node) => {
  for (const name of ["do_rotary", "past_present_share_buffer"]) only(node, name, 0);
  const [X, W] = [given(node, 0), given(node, 1)];
  const [bias, mask, past, added] = node.inputs.slice(2);
  const product = g.MatMul(X, W);
  const projected = bias ? g.Add(product, bias) : product;
  const [Q, K, V] = g.Split(projected, g.int64(widthsOf(node, W)), { axis: 2 });
  if (!Q || !K || !V) return refuse("its weights are those of queries, keys and values");
  const [pastK, pastV] = [entry(g, past, 0), entry(g, past, 1)];
  const [Y = Q, keys = K, values = V] = attended(g, node, { Q, K, V }, { mask, bias: added, pastK, pastV });
  if (node.declared.length < 2) return [Y];
  const pair = [keys, values].map((value) => g.Unsqueeze(value, g.int64([0])));
  return [Y, g.Concat(...pair, { axis: 0 })];
};

/**
 * Attention of queries to keys and values, which other nodes have made. They may lie together, [batch,
 * length, heads, 3 or 2, size of a head], and a bias may be added to them.
 */
const multiHeadAttention: ImportForm["read"] = (g, node) => {
  without(node, 3, "qk");
  if (node.inputs[8] || node.inputs[9])
    unsupported("caches that are shared with their results are not supported");
  const [bias, mask, added, pastK, pastV] = node.inputs.slice(3);
  const parts = biased(g, apart(g, node), bias);
  return attended(g, node, parts, { mask, bias: added, pastK, pastV });
};

function apart(g: Builder, { inputs: [Q, K, V] }: ForeignNode): Projections {
  // the parts of a value of 5 axes, each with its heads side by side
  const part = (value: Value, i: number) =>
    g.Reshape(g.Gather(value, g.int64(i), { axis: 3 }), g.int64([0, 0, -1]));
  if (Q?.shape.length === 5 && !K && !V) return { Q: part(Q, 0), K: part(Q, 1), V: part(Q, 2) };
  if (Q && K?.shape.length === 5 && !V) return { Q, K: part(K, 0), V: part(K, 1) };
  if (!Q || !K || !V) return refuse("it needs queries, keys and values");
  return { Q, K, V };
}

/** Adds a bias for queries, keys and values; keys and values of 4 axes have theirs already. */
function biased(g: Builder, { Q, K, V }: Projections, bias: Value | null | undefined): Projections {
  if (!bias) return { Q, K, V };
  const width = staticDim(Q.shape, 2);
  const rest = staticDim(bias.shape, 0) - 2 * width;
  const [forQ, forK, forV] = g.Split(bias, g.int64([width, width, rest]), { axis: 0 });
  if (!forQ || !forK || !forV) throw new TypeError("a Split into three has three outputs");
  const add = (value: Value, part: Value) => (value.shape.length === 3 ? g.Add(value, part) : value);
  return { Q: add(Q, forQ), K: add(K, forK), V: add(V, forV) };
}

/** RotaryEmbedding with the places as its second input: one for each element, or that of the first one. */
const rotary: ImportForm["read"] = (g, node) => {
  only(node, "is_packed_batching", 0);
  only(node, "scale", 1);
  const [X, ids, cos, sin] = [0, 1, 2, 3].map((index) => given(node, index));
  if (!X || !ids || !cos || !sin) return refuse("it needs a value, places, and tables of cosines and sines");
  const isFlat = X.shape.length === 3;
  const length = sizeAt(g, X, isFlat ? 1 : 2);
  const counted = () => g.Unsqueeze(g.Range(g.int64(0), length, g.int64(1)), g.int64([0]));
  const places = ids.shape.length === 2 ? ids : g.Add(counted(), ids);
  const { num_heads, interleaved, rotary_embedding_dim } = node.attributes;
  const heads = num_heads || (isFlat ? staticDim(X.shape, 2) / (2 * staticDim(cos.shape, 1)) : 0);
  const attributes = completeAttributes(operators.RotaryEmbedding.attributes, {
    ...{ interleaved, rotary_embedding_dim, num_heads: heads },
  });
  return rotaryEmbedding(g, operationOn("RotaryEmbedding", [X, cos, sin, places], attributes));
};

/** Attention as ONNX Runtime's optimizers fuse it. */
export const fusedAttention: readonly ImportForm[] = [
  { domain, opType: "Attention", read: selfAttention },
  { domain, opType: "MultiHeadAttention", read: multiHeadAttention },
  { domain, opType: "RotaryEmbedding", read: rotary },
];
