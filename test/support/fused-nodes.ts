import { floats, type GivenShape, Tensor } from "../../graph-builder/index.ts";
import type { ForeignNode } from "./foreign-node.ts";
import type { LayerNode } from "./layer-nodes.ts";
import { apart, dimsOf, type Input, integers, normal } from "./random-tensor.ts";

type Attributes = NonNullable<ForeignNode["attributes"]>;
type Test = LayerNode["test"] & { readonly outputs?: ForeignNode["outputs"]; readonly domain?: string };

/** A node of ONNX Runtime's own operators. */
function fused(
  opType: string,
  title: string,
  inputs: Readonly<Record<string, Input | Tensor | null>>,
  attributes: Attributes = {},
  test: Test = {},
): LayerNode {
  const { outputs = ["Y"], domain = "com.microsoft", ...more } = test;
  const opset = domain === "" ? 14 : 1;
  return {
    title,
    node: { opType, domain, opset, inputs: Object.entries(inputs), attributes, outputs },
    test: { step: 2 ** -8, ...more },
  };
}

/** Whole numbers of 32 bits. */
function int32(values: readonly number[], shape: GivenShape): Input {
  return { shape, tensor: new Tensor("int32", dimsOf(shape), Int32Array.from(values)) };
}

/** Numbers of which a softmax makes no jumps. */
function small(shape: GivenShape): Input {
  const numbers = normal(shape).tensor.numbers();
  return {
    shape,
    tensor: floats(
      numbers.map((number) => 0.3 * number),
      dimsOf(shape),
    ),
  };
}

const text = ["batch", 4, 6] as const;
const epsilon: Attributes = { epsilon: ["float", 1e-2] };
const vector = (size: number) => normal([size]);
const layers = { input: normal(text), skip: normal(text) };

const normalised: readonly LayerNode[] = [
  fused("SkipLayerNormalization", "", { ...layers, gamma: vector(6), beta: vector(6) }, epsilon),
  fused(
    "SkipLayerNormalization",
    "a bias, and the sum",
    { ...layers, gamma: vector(6), beta: vector(6), bias: vector(6) },
    epsilon,
    { outputs: ["Y", null, null, "sum"] },
  ),
  fused(
    "SkipLayerNormalization",
    "one skip for all texts, without beta",
    { input: normal(text), skip: normal([1, 4, 6]), gamma: vector(6) },
    epsilon,
  ),
  fused("SkipSimplifiedLayerNormalization", "", { ...layers, gamma: vector(6) }, epsilon),
  fused(
    "SkipSimplifiedLayerNormalization",
    "a bias, and the sum",
    { ...layers, gamma: vector(6), bias: vector(6) },
    epsilon,
    { outputs: ["Y", null, null, "sum"] },
  ),
  // ONNX Runtime's own, before ONNX had them
  fused(
    "LayerNormalization",
    "before opset 17",
    { X: normal(text), scale: vector(6), B: vector(6) },
    epsilon,
    {
      domain: "",
    },
  ),
  fused("SimplifiedLayerNormalization", "", { X: normal(text), scale: vector(6) }, epsilon, { domain: "" }),
];

const words = {
  input_ids: int32([1, 0, 4, 2, 3, 3, 0, 1, 2, 4, 4, 4], ["batch", 4]),
  segment_ids: int32([0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0], ["batch", 4]),
  word_embedding: normal([5, 6]),
  position_embedding: normal([7, 6]),
  segment_embedding: normal([2, 6]),
  gamma: vector(6),
  beta: vector(6),
};
const textMask = int32([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1], ["batch", 4]);

const embedded: readonly LayerNode[] = [
  fused("EmbedLayerNormalization", "words, places and segments", words, epsilon, {
    outputs: ["Y", "lengths"],
    gradient: false,
  }),
  fused("EmbedLayerNormalization", "without outputs that are whole numbers", words, epsilon, {
    kernel: false,
  }),
  fused(
    "EmbedLayerNormalization",
    "a mask, and the sum",
    { ...words, mask: textMask },
    { ...epsilon, mask_index_type: ["int", 1] },
    { outputs: ["Y", "lengths", "sum"], gradient: false },
  ),
  fused(
    "EmbedLayerNormalization",
    "given places, no segments",
    {
      ...{ ...words, segment_ids: null, segment_embedding: null, mask: null },
      position_ids: int32([2, 0, 1, 6, 3, 3, 4, 5, 0, 1, 2, 3], ["batch", 4]),
    },
    epsilon,
    { outputs: ["Y", "lengths"], gradient: false },
  ),
];

// the activations without kinks, around which central differences go wrong
const smooth = ["Sigmoid", "Tanh", "Softplus", "Softsign"];
const activationsOfGemm: readonly (readonly [string, Attributes])[] = [
  ["Relu", {}],
  ["Sigmoid", {}],
  ["Tanh", {}],
  ["Softplus", {}],
  ["Softsign", {}],
  ["LeakyRelu", { activation_alpha: ["float", 0.2] }],
  ["ThresholdedRelu", { activation_alpha: ["float", 0.3] }],
  ["Elu", { activation_alpha: ["float", 0.7] }],
  ["Selu", { activation_alpha: ["float", 1.5], activation_gamma: ["float", 1.1] }],
  ["HardSigmoid", { activation_alpha: ["float", 0.3], activation_beta: ["float", 0.4] }],
];

const picture = normal(["batch", 2, 5, 6]);
const filters = { X: picture, W: small([3, 2, 3, 3]), B: vector(3) };
const convActivations: readonly (readonly [string, readonly number[]])[] = [
  ["Relu", []],
  ["Sigmoid", []],
  ["Tanh", []],
  ["LeakyRelu", [0.2]],
  ["Clip", [-0.5, 1.5]],
  ["HardSigmoid", [0.3, 0.4]],
];

const products: readonly LayerNode[] = [
  ...activationsOfGemm.map(([kind, numbers]) =>
    fused(
      "FusedGemm",
      kind,
      { A: normal(["batch", 3]), B: small([4, 3]), C: vector(4) },
      { activation: ["string", kind], transB: ["int", 1], alpha: ["float", 0.5], ...numbers },
      { gradient: smooth.includes(kind) },
    ),
  ),
  ...convActivations.map(([kind, numbers]) =>
    fused(
      "FusedConv",
      kind,
      filters,
      {
        activation: ["string", kind],
        ...(numbers.length > 0 ? { activation_params: ["floats", numbers] } : {}),
        pads: ["ints", [1, 0, 1, 0]],
        strides: ["ints", [1, 2]],
      },
      { gradient: smooth.includes(kind) },
    ),
  ),
  fused("FusedConv", "auto_pad", filters, {
    activation: ["string", "Tanh"],
    auto_pad: ["string", "SAME_UPPER"],
  }),
  fused(
    "FusedConv",
    "a value that is added",
    { ...filters, Z: normal(["batch", 3, 3, 4]) },
    { activation: ["string", "Sigmoid"] },
  ),
  fused("FusedConv", "a value that is added, no activation", { ...filters, Z: normal(["batch", 3, 3, 4]) }),
  fused(
    "FusedMatMul",
    "transposed and scaled",
    { A: normal(["batch", 3, 2]), B: normal([4, 3]) },
    {
      ...{ transA: ["int", 1], transB: ["int", 1], alpha: ["float", 0.3] },
    },
  ),
  fused(
    "FusedMatMul",
    "batch axes moved",
    { A: normal([2, "batch", 3]), B: normal([3, "batch", 4]) },
    {
      ...{ transBatchA: ["int", 1], transBatchB: ["int", 1] },
    },
  ),
  fused("TransposeMatMul", "", { A: normal(["batch", 2, 3]), B: normal([4, 3]) }, { transB: ["int", 1] }),
  fused("BiasGelu", "", { A: normal(["batch", 2, 3]), B: vector(3) }),
  fused("FastGelu", "a bias", { X: normal(["batch", 2, 3]), bias: vector(3) }, {}),
  fused("QuickGelu", "", { X: apart(["batch", 3]) }, { alpha: ["float", 1.5] }),
  fused("Trilu", "", { X: normal(["batch", 3, 4]), k: integers([1], []) }, { upper: ["int", 0] }),
  fused(
    "GridSample",
    "",
    { X: normal([2, 3, 4, 5]), grid: normal([2, 5, 6, 2]) },
    { mode: ["string", "bilinear"], padding_mode: ["string", "border"] },
    { gradient: false },
  ),
];

const heads: Attributes = { num_heads: ["int", 2] };
const merged = { input: normal(text), weights: small([6, 12]), bias: vector(12) };
const keyMask = int32([1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1], ["batch", 4]);
const queryMask = int32(
  Array.from({ length: 48 }, (_, i) => (i % 5 === 0 ? 0 : 1)),
  ["batch", 4, 4],
);

const selfAttention: readonly LayerNode[] = [
  fused("Attention", "no mask", merged, heads),
  // ONNX Runtime 1.30 ends the process
  fused("Attention", "no bias", { input: normal(text), weights: small([6, 12]) }, heads, { kernel: false }),
  fused("Attention", "one way", merged, { ...heads, unidirectional: ["int", 1], scale: ["float", 0.3] }),
  fused("Attention", "a mask of keys", { ...merged, mask_index: keyMask }, heads),
  fused(
    "Attention",
    "a mask of keys, one way, with a filter of its own",
    { ...merged, mask_index: keyMask },
    { ...heads, unidirectional: ["int", 1], mask_filter_value: ["float", -2] },
  ),
  fused("Attention", "a mask of queries and keys", { ...merged, mask_index: queryMask }, heads),
  fused("Attention", "the ends of the texts", { ...merged, mask_index: int32([3, 1, 4], ["batch"]) }, heads),
  fused(
    "Attention",
    "the ends and the starts of the texts",
    { ...{ ...merged, input: normal([3, 4, 6]) }, mask_index: int32([3, 2, 4, 1, 0, 2], [6]) },
    heads,
  ),
  fused(
    "Attention",
    "numbers that are added to the scores, and a mask",
    { ...merged, mask_index: keyMask, past: null, attention_bias: normal(["batch", 2, 4, 4]) },
    heads,
  ),
  fused(
    "Attention",
    "values of another width",
    { input: normal(text), weights: small([6, 10]), bias: vector(10) },
    { ...heads, qkv_hidden_sizes: ["ints", [4, 4, 2]] },
  ),
  fused(
    "Attention",
    "keys and values of earlier words",
    { ...{ ...merged, mask_index: null }, past: normal([2, "batch", 2, 3, 2]) },
    { ...heads, unidirectional: ["int", 1] },
    { outputs: ["Y", "present"] },
  ),
  fused("Attention", "keys and values for later words", merged, heads, { outputs: ["Y", "present"] }),
];

const parts = {
  query: normal(["batch", 3, 4]),
  key: normal(["batch", 5, 4]),
  value: normal(["batch", 5, 6]),
};
const farMask = int32([1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0], ["batch", 5]);

const manyHeads: readonly LayerNode[] = [
  fused("MultiHeadAttention", "three values", parts, heads),
  fused(
    "MultiHeadAttention",
    "a bias and a mask of keys",
    { ...parts, bias: vector(14), key_padding_mask: farMask },
    heads,
  ),
  fused(
    "MultiHeadAttention",
    "the ends of the texts, and numbers that are added to the scores",
    {
      ...parts,
      bias: null,
      key_padding_mask: int32([3, 5, 1], ["batch"]),
      attention_bias: normal([1, 2, 3, 5]),
    },
    { ...heads, scale: ["float", 0.4] },
  ),
  fused(
    "MultiHeadAttention",
    "keys and values with their heads apart",
    {
      query: normal(["batch", 3, 4]),
      key: normal(["batch", 2, 5, 2]),
      value: normal(["batch", 2, 5, 2]),
      bias: vector(12),
    },
    heads,
  ),
  fused(
    "MultiHeadAttention",
    "keys and values of earlier words, one way",
    {
      ...{ query: normal(["batch", 3, 4]), key: normal(["batch", 3, 4]), value: normal(["batch", 3, 4]) },
      ...{ bias: vector(12), key_padding_mask: null, attention_bias: null },
      ...{ past_key: normal(["batch", 2, 2, 2]), past_value: normal(["batch", 2, 2, 2]) },
    },
    { ...heads, unidirectional: ["int", 1] },
    { outputs: ["Y", "keys", "values"] },
  ),
  // ONNX Runtime's CPU has no kernel for these two
  fused("MultiHeadAttention", "all in one value", { query: normal(["batch", 3, 2, 3, 2]) }, heads, {
    kernel: false,
  }),
  fused(
    "MultiHeadAttention",
    "keys and values in one value",
    { query: normal(["batch", 3, 4]), key: normal(["batch", 5, 2, 2, 2]) },
    heads,
    { kernel: false },
  ),
];

const tables = { cos_cache: normal([6, 2]), sin_cache: normal([6, 2]) };
const turned: readonly LayerNode[] = [
  ...[0, 1].map((interleaved) =>
    fused(
      "RotaryEmbedding",
      `interleaved ${interleaved}, heads side by side`,
      {
        input: normal(["batch", 3, 8]),
        position_ids: integers([0, 3, 5, 1, 1, 2, 0, 1, 2], ["batch", 3]),
        ...tables,
      },
      { interleaved: ["int", interleaved] },
    ),
  ),
  fused("RotaryEmbedding", "heads apart, from a first place", {
    ...{ input: normal(["batch", 2, 3, 4]), position_ids: integers([2], [1]) },
    ...tables,
  }),
  fused(
    "RotaryEmbedding",
    "a part of each head",
    { input: normal(["batch", 3, 12]), position_ids: integers([1], [1]), ...tables },
    { num_heads: ["int", 2], rotary_embedding_dim: ["int", 4] },
  ),
];

/** Operators that ONNX Runtime's optimizers write. */
export const fusedNodes: readonly LayerNode[] = [
  ...normalised,
  ...embedded,
  ...products,
  ...selfAttention,
  ...manyHeads,
  ...turned,
];
