import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { refuse, unsupported } from "../../operators/inference.ts";
import { ownEntry } from "../../own-entry.ts";
import { type ForeignNode, type ImportForm, type NodeForm, numberList } from "./form.ts";
import { explicitPads } from "./windows.ts";

const domain = "com.microsoft";

/** An input that a node must have. */
export function given({ inputs }: NodeForm, index: number): Value {
  return inputs[index] ?? refuse(`input ${index} is missing`);
}

/** Refuses what an attribute asks for where it is neither left out nor `allowed`. */
export function only({ attributes }: NodeForm, name: string, allowed: number): void {
  const value = attributes[name] ?? allowed;
  if (value !== allowed) unsupported(`${name} ${value} is not supported`);
}

/** Refuses an output that no operator here makes. */
export function without({ declared, outputs }: ForeignNode, index: number, name: string): void {
  const isLeftOut = outputs.length > 0 && !outputs[index];
  if (index < declared.length && !isLeftOut) unsupported(`its output ${name} is not supported`);
}

/** A sum of two values, and a bias that is added to the first, which a layer has made. */
function skipSum(g: Builder, node: ForeignNode, bias: Value | null | undefined): Value {
  const [input, skip] = [given(node, 0), given(node, 1)];
  return g.Add(bias ? g.Add(input, bias) : input, skip);
}

/** Layer normalisation of input + bias + skip, and that sum. */
const skipLayerNormalization: ImportForm["read"] = (g, node) => {
  const sum = skipSum(g, node, node.inputs[4]);
  return [...layerNormal(g, node, sum, [2, 3]), sum];
};

/** Root-mean-square normalisation of input + bias + skip, without a mean, and that sum. */
const skipSimplified: ImportForm["read"] = (g, node) => {
  without(node, 1, "mean");
  const sum = skipSum(g, node, node.inputs[3]);
  const epsilon = Number(node.attributes["epsilon"] ?? 1e-12);
  const [Y, invStd] = g.SimplifiedLayerNormalization(sum, given(node, 2), { epsilon });
  return [Y, null, invStd, sum];
};

/** Layer normalisation with the scale and the bias at two inputs of a node: Y, the means and deviations. */
function layerNormal(
  g: Builder,
  node: ForeignNode,
  X: Value,
  [scale, bias]: readonly [number, number],
): readonly Value[] {
  const epsilon = Number(node.attributes["epsilon"] ?? 1e-12);
  return g.LayerNormalization(X, given(node, scale), node.inputs[bias] ?? null, { epsilon });
}

/**
 * The sum of the embeddings of words, places and segments, normalised; how many words of each text the mask
 * lets through, or 0 without a mask; and the sum.
 */
const embedLayerNormalization: ImportForm["read"] = (g, node) => {
  const [ids, words, table] = [given(node, 0), given(node, 2), given(node, 3)];
  const [segments, kinds, mask, places] = [1, 4, 7, 8].map((index) => node.inputs[index]);
  const counted = () => g.Range(g.int64(0), g.Gather(g.Shape(ids), g.int64(1)), g.int64(1));
  const named = g.Add(g.Gather(words, ids), g.Gather(table, places ?? counted()));
  const sum = segments && kinds ? g.Add(named, g.Gather(kinds, segments)) : named;
  const [Y = sum] = layerNormal(g, node, sum, [5, 6]);
  return [Y, wordCounts(g, ids, mask), sum];
};

function wordCounts(g: Builder, ids: Value, mask: Value | null | undefined): Value {
  const to = dataTypeNumbers.int32;
  if (!mask) return g.Expand(g.Cast(g.int64(0), { to }), g.Shape(ids, { end: 1 }));
  const isWord = g.Equal(mask, g.Cast(g.int64(1), { to: dataTypeNumbers[mask.elemType] }));
  return g.ReduceSum(g.Cast(isWord, { to }), g.int64([1]), { keepdims: 0 });
}

/** The numbers of an activation that ONNX Runtime has fused into a layer; undefined for those left out. */
type Parameters = Readonly<Partial<Record<"alpha" | "beta" | "gamma", number | undefined>>>;

const activations: Readonly<Record<string, (g: Builder, X: Value, numbers: Parameters) => Value>> = {
  Relu: (g, X) => g.Relu(X),
  Sigmoid: (g, X) => g.Sigmoid(X),
  Tanh: (g, X) => g.Tanh(X),
  Softplus: (g, X) => g.Softplus(X),
  Softsign: (g, X) => g.Softsign(X),
  LeakyRelu: (g, X, { alpha }) => g.LeakyRelu(X, { alpha }),
  ThresholdedRelu: (g, X, { alpha }) => g.ThresholdedRelu(X, { alpha }),
  Elu: (g, X, { alpha }) => g.Elu(X, { alpha }),
  Selu: (g, X, { alpha, gamma }) => g.Selu(X, { alpha, gamma }),
  HardSigmoid: (g, X, { alpha, beta }) => g.HardSigmoid(X, { alpha, beta }),
  Clip: (g, X, { alpha, beta }) => {
    const bound = (number: number | undefined) => (number === undefined ? null : floatLike(g, X, number));
    return g.Clip(X, bound(alpha), bound(beta));
  },
};

function activated(g: Builder, X: Value, kind: unknown, numbers: Parameters): Value {
  if (kind === undefined || kind === "") return X;
  const name = String(kind);
  const activate = ownEntry(activations, name);
  return activate ? activate(g, X, numbers) : unsupported(`activation ${name} is not supported`);
}

/** A Conv with an activation, and a value that is added before it. */
const fusedConv: ImportForm["read"] = (g, node) => {
  const [X, W, B = null, Z] = node.inputs;
  const { activation, activation_params: listed, ...rest } = node.attributes;
  const numbers = listed === undefined ? [] : numberList("activation_params", listed);
  const [alpha, beta] = numbers;
  const attributes = explicitPads({ ...node, attributes: rest });
  const Y = g.nodeFrom("Conv", [X ?? null, W ?? null, B], attributes).output(0);
  return [activated(g, Z ? g.Add(Y, Z) : Y, activation, { alpha, beta })];
};

/** A Gemm with an activation. */
const fusedGemm: ImportForm["read"] = (g, node) => {
  const { activation, activation_alpha, activation_beta, activation_gamma, ...rest } = node.attributes;
  const number = (value: unknown) => (typeof value === "number" ? value : undefined);
  const Y = g.nodeFrom("Gemm", node.inputs, rest).output(0);
  const [alpha, beta, gamma] = [activation_alpha, activation_beta, activation_gamma].map(number);
  return [activated(g, Y, activation, { alpha, beta, gamma })];
};

/** An operator of ai.onnx under the same name, or another one, with the same inputs and attributes. */
function same(opType: string, ours: "FusedMatMul" | "Trilu"): ImportForm {
  const read: ImportForm["read"] = (g, { inputs, attributes }) =>
    g.nodeFrom(ours, inputs, attributes).outputs;
  return { domain, opType, read };
}

/** Layers that the optimizers of ONNX Runtime fuse (`optimized_model_filepath`, onnxruntime.transformers). */
export const fused: readonly ImportForm[] = [
  { domain, opType: "BiasGelu", read: (g, node) => [g.Gelu(g.Add(given(node, 0), given(node, 1)))] },
  { domain, opType: "SkipLayerNormalization", read: skipLayerNormalization },
  { domain, opType: "SkipSimplifiedLayerNormalization", read: skipSimplified },
  { domain, opType: "EmbedLayerNormalization", read: embedLayerNormalization },
  { domain, opType: "FusedConv", read: fusedConv },
  { domain, opType: "FusedGemm", read: fusedGemm },
  same("TransposeMatMul", "FusedMatMul"),
  same("Trilu", "Trilu"),
];
