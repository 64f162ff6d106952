import type { Builder } from "../../builder.ts";
import { castLike, floatLike, sizeAt } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { normalAxis, refuse, staticDim } from "../../operators/inference.ts";
import { appendScan } from "../../scan.ts";
import type { ForeignNode, ImportForm } from "./form.ts";

/** How a linear attention changes its state: whether it forgets, and whether it corrects what it knows. */
interface Rule {
  readonly isGated: boolean;
  readonly isDelta: boolean;
}

const rules: Readonly<Record<string, Rule>> = {
  linear: { isGated: false, isDelta: false },
  gated: { isGated: true, isDelta: false },
  delta: { isGated: false, isDelta: true },
  gated_delta: { isGated: true, isDelta: true },
};

/** Values [N, steps, heads size] as [steps, N, heads, size]. */
function perStep(g: Builder, X: Value, heads: number): Value {
  const split = g.Reshape(X, g.int64([0, 0, heads, staticDim(X.shape, 2) / heads]));
  return g.Transpose(split, { perm: [1, 0, 2, 3] });
}

/** The heads that an attention has, and how the queries share those of the keys. */
function headsOf({ attributes }: ForeignNode): { readonly queries: number; readonly keys: number } {
  const [queries, keys] = [Number(attributes["q_num_heads"]), Number(attributes["kv_num_heads"])];
  if (!(keys > 0) || queries % keys !== 0)
    return refuse(`q_num_heads ${queries} is not a multiple of kv_num_heads ${keys}`);
  return { queries, keys };
}

/** Refuses inputs that the update rule does not read, and their lack where it does. */
function expectRule({ attributes, inputs: [, , , , decay, beta] }: ForeignNode): void {
  const name = String(attributes["update_rule"] ?? "gated_delta");
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (!rule) refuse(`update_rule ${name} is not known`);
  else if (rule.isGated !== Boolean(decay)) refuse(`update_rule ${name} and the input decay do not fit`);
  else if (rule.isDelta !== Boolean(beta)) refuse(`update_rule ${name} and the input beta do not fit`);
}

/** A matrix for each key head, [N, heads, keys, values], before the first step. */
function firstState(g: Builder, past: Value | null | undefined, K: Value, V: Value): Value {
  if (past) return past;
  const sizes = [g.Shape(K, { start: 1 }), g.Shape(V, { start: 3 })];
  return g.Expand(floatLike(g, K, 0), g.Concat(...sizes, { axis: 0 }));
}

/** What every step of a linear attention reads, with a leading axis of steps. */
interface Steps {
  /** [steps, N, key heads, queries that share one, size of a key]. */
  readonly queries: Value;
  /** [steps, N, key heads, size, 1] for keys and what is forgotten. */
  readonly keys: Value;
  readonly forgets: Value | null;
  /** [steps, N, key heads, size] for values and rates. */
  readonly values: Value;
  readonly rates: Value | null;
}

/**
 * S = exp(decay) S + k (beta (v - exp(decay) S' k))', and the outputs q' S of all steps, by a Scan over the
 * steps (S. Yang et al., "Gated Delta Networks", 2024). Returns the outputs and the last state.
 */
function recurrence(g: Builder, state: Value, steps: Steps): readonly [Value, Value] {
  const { queries, keys, values, forgets, rates } = steps;
  const { states, made } = appendScan(g, {
    states: [state],
    sequences: [queries, keys, values, ...(forgets ? [forgets] : []), ...(rates ? [rates] : [])],
    captured: [],
    step: (b, { states: [before], elements: [q, k, v, ...more] }) => {
      if (!before || !q || !k || !v) throw new TypeError("a step of linear attention reads q, k and v");
      const [forget, rate] = forgets ? more : [undefined, ...more];
      const kept = forget ? b.Mul(before, forget) : before;
      const known = () => b.Squeeze(b.MatMul(b.Transpose(kept, { perm: [0, 1, 3, 2] }), k), b.int64([3]));
      const added = rate ? b.Mul(rate, b.Sub(v, known())) : v;
      const after = b.Add(kept, b.Mul(k, b.Unsqueeze(added, b.int64([2]))));
      return { states: [after], made: [b.MatMul(q, after)] };
    },
  });
  const [[last], [outputs]] = [states, made];
  if (!outputs || !last) throw new TypeError("a Scan of one state and one sequence has two outputs");
  return [outputs, last];
}

/** Attention without a softmax: its state is one matrix for each head, [N, key heads, keys, values]. */
const linearAttention: ImportForm["read"] = (g, node) => {
  const [query, key, value, past, decay, beta] = node.inputs;
  if (!query || !key || !value) return refuse("it needs queries, keys and values");
  expectRule(node);
  const heads = headsOf(node);
  // products of float16 are summed in float, as ONNX defines it
  const wide = (X: Value) => (X.elemType === "double" ? X : g.Cast(X, { to: dataTypeNumbers.float }));
  const split = (X: Value, count: number) => perStep(g, wide(X), count);
  const [Q, K, V] = [split(query, heads.queries), split(key, heads.keys), split(value, heads.keys)];
  const size = staticDim(Q.shape, 3);
  const column = (X: Value) => g.Unsqueeze(X, g.int64([4]));
  const [outputs, last] = recurrence(g, firstState(g, past && wide(past), K, V), {
    queries: g.Reshape(Q, g.int64([0, 0, heads.keys, heads.queries / heads.keys, size])),
    keys: column(K),
    values: V,
    forgets: decay ? column(g.Exp(split(decay, heads.keys))) : null,
    rates: beta ? split(beta, staticDim(beta.shape, 2)) : null,
  });
  const scale = Number(node.attributes["scale"] ?? 0) || 1 / Math.sqrt(size);
  const scaled = g.Mul(g.Transpose(outputs, { perm: [1, 0, 2, 3, 4] }), floatLike(g, outputs, scale));
  const width = heads.queries * staticDim(V.shape, 3);
  const Y = castLike(g, g.Reshape(scaled, g.int64([0, 0, width])), query);
  return [Y, castLike(g, last, past ?? query)];
};

/** A depthwise convolution of [past_state, input] along time; the new state is the end of both. */
const causalConv: ImportForm["read"] = (g, { inputs: [X, W, B, past], attributes }) => {
  if (!X || !W) return refuse("it needs an input and weights");
  const { activation = "none" } = attributes;
  if (!["none", "silu", "swish"].includes(String(activation)))
    return refuse(`activation ${activation} is not known`);
  const [channels, size] = [staticDim(W.shape, 0), staticDim(W.shape, 2)];
  const before = g.int64([0, 0, size - 1, 0, 0, 0]);
  const whole = past ? g.Concat(past, X, { axis: 2 }) : g.Pad(X, before);
  const product = g
    .nodeFrom("Conv", [whole, W, B ?? null], { kernel_shape: [size], group: channels })
    .output(0);
  const Y = activation === "none" ? product : g.Mul(product, g.Sigmoid(product));
  const end = g.Shape(whole, { start: 2 });
  const state = g.Slice(whole, g.Sub(end, g.int64([size - 1])), end, g.int64([2]));
  return [Y, state];
};

/** Writes an update into a cache, from the index that `write_indices` has for each sequence. */
const tensorScatter: ImportForm["read"] = (g, { inputs: [past, update, first], attributes }) => {
  if (!past || !update) return refuse("it needs a cache and an update");
  const { mode = "linear", axis = -2 } = attributes;
  if (mode !== "linear" && mode !== "circular") return refuse(`mode ${mode} is not known`);
  const rank = past.shape.length;
  const along = normalAxis(Number(axis), rank);
  if (along === 0) return refuse("axis 0 is the batch");
  const steps = g.Range(g.int64(0), sizeAt(g, update, along), g.int64(1));
  const others = past.shape.map((_, i) => i).filter((i) => i !== along);
  const counted = g.Unsqueeze(steps, g.int64(others));
  const starts = first && g.Unsqueeze(first, g.int64(past.shape.map((_, i) => i).slice(1)));
  const places = starts ? g.Add(counted, starts) : counted;
  const turned = mode === "circular" ? g.Mod(places, sizeAt(g, past, along)) : places;
  return [g.ScatterElements(past, g.Expand(turned, g.Shape(update)), update, { axis: along })];
};

/** Layers of language models that keep a state from one call to the next. */
export const stateful: readonly ImportForm[] = [
  { domain: "", opType: "LinearAttention", read: linearAttention },
  { domain: "", opType: "CausalConvWithState", read: causalConv },
  { domain: "", opType: "TensorScatter", read: tensorScatter },
];
