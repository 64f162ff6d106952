import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { OpType } from "../operators/index.ts";
import { tensorOf } from "../tensor.ts";
import { type HalfType, isHalfType } from "../types.ts";
import type { Pass } from "./pass.ts";
import { removeDeadCode } from "./remove-dead-code.ts";
import { rewriteGraph } from "./rewrite.ts";

type Float = "float" | HalfType;

/**
 * What is computed in 16 bits: where the time goes, and where a product's sum is kept in float32 by the
 * kernels.
 */
const half: ReadonlySet<string> = new Set<OpType>([
  "Conv",
  "ConvGrad",
  "MatMul",
  "FusedMatMul",
  "Gemm",
  "ReluGrad",
]);

/** What is computed in 16 bits where all its values are in 16 bits. */
const following: ReadonlySet<string> = new Set<OpType>([
  "Relu",
  "LeakyRelu",
  "Add",
  "Sum",
  "Concat",
  "Split",
  "Slice",
  "SliceGrad",
  "Pad",
  "Reshape",
  "Transpose",
  "Flatten",
  "Identity",
  "Unsqueeze",
  "Squeeze",
  "Expand",
  "GlobalAveragePool",
]);

/**
 * What ONNX Runtime's CUDA provider computes in float16 alone: it has no bfloat16 kernels of LeakyRelu, Pad
 * and ReduceMean (onnxruntime docs/OperatorKernels.md).
 */
const withoutBfloat16: ReadonlySet<string> = new Set<OpType>([
  "LeakyRelu",
  "Pad",
  "SliceGrad",
  "GlobalAveragePool",
]);

/** What reads and gives images in 16 bits but computes with statistics in float32. */
const normalizing: ReadonlySet<string> = new Set<OpType>([
  "BatchNormInternal",
  "BatchNormalizationGrad",
  "BatchNormalization",
  "LayerNormalization",
  "LayerNormalizationGrad",
]);

/** What casts are named under, beside the nodes that a lowering makes of the node that they are for. */
const SCOPE = "precision";

/**
 * The input by which a mixed-precision training graph takes the factor of its gradients: float, no
 * dimensions.
 */
export const LOSS_SCALE = "loss_scale";

/**
 * Puts forward and backward of a training graph into float16 and leaves everything else in float32: weights
 * are cast where they are read, and statistics, losses, softmax and the gradients that leave the graph stay
 * in float32. The gradients are `loss_scale` times too large, an input of the new graph, so that small ones
 * are not lost in float16 (Micikevicius et al. 2018, "Mixed precision training"). Throws UserError where the
 * gradient of the loss, a constant named `<loss>_grad`, is not in the graph.
 */
export const mixedPrecision: Pass = {
  name: "mixed-precision",
  run: (graph) => mix(graph, "float16", scaledSeeds(graph)),
};

/**
 * Puts forward and backward of a training graph into bfloat16, as `mixedPrecision` does into float16, and
 * leaves in float32 what ONNX Runtime's CUDA provider has no bfloat16 kernel for. bfloat16 has the exponents
 * of float32, so the gradients need no factor.
 */
export const bfloat16Precision: Pass = {
  name: "bfloat16-precision",
  run: (graph) => mix(graph, "bfloat16", new Set()),
};

/** The constants that the gradients start from. Throws UserError where there is none. */
function scaledSeeds(graph: Graph): ReadonlySet<Value> {
  const seeds = new Set(graph.initializers.filter(isSeed));
  if (seeds.size === 0) {
    throw new UserError(
      `The graph ${graph.name} has no constant that is the gradient of its loss, so its precision cannot be mixed.`,
      { code: "model-unsupported" },
    );
  }
  return seeds;
}

/** The graph in 16 bits and float32, with the gradients that start from `seeds` times the loss scale. */
function mix(graph: Graph, halfType: HalfType, seeds: ReadonlySet<Value>): Graph {
  let scale: Value | undefined;
  const scaled = (g: Builder, seed: Value): Value => {
    scale ??= g.input(LOSS_SCALE, "float", []);
    return g.Mul(seed, scale);
  };
  const converted = rewriteGraph(graph, (node, inputs, g) => {
    const seeded = inputs.map((value, i) => (value && isSeedOf(node, i, seeds) ? scaled(g, value) : value));
    const type = typeOf(node, seeded, halfType);
    const values = g.scope(SCOPE, () => seeded.map((value) => value && inType(g, value, type)));
    const { outputs } = g.copy(node, values, node.name);
    const [image, ...others] = outputs;
    const isImage = normalizing.has(node.opType) && inputs[0]?.elemType === halfType;
    return isImage && image ? [g.scope(SCOPE, () => inType(g, image, halfType)), ...others] : outputs;
  });
  return removeDeadCode.run(withTypesOf(graph, converted));
}

/**
 * A scalar 1 that autodiff starts from, by its name (autodiff.ts; onnxruntime.training.artifacts names it so
 * too).
 */
function isSeed({ name, constant }: Value): boolean {
  return /_grad$/.test(name ?? "") && constant?.data.length === 1 && constant.numbers()[0] === 1;
}

function isSeedOf(node: Node, input: number, seeds: ReadonlySet<Value>): boolean {
  const value = node.inputs[input];
  return value !== null && value !== undefined && seeds.has(value);
}

/** The type that a node computes in. */
function typeOf(node: Node, inputs: readonly (Value | null)[], halfType: HalfType): Float {
  if (half.has(node.opType)) return halfType;
  const varying = inputs.filter((value) => value && !value.constant && isFloat(value));
  if (node.opType === "Mul" && inputs.some((value) => value && isScaled(node, value, halfType)))
    return halfType;
  const isHalf = varying.length > 0 && varying.every((value) => value?.elemType === halfType);
  const isMissing = halfType === "bfloat16" && withoutBfloat16.has(node.opType);
  return isHalf && following.has(node.opType) && !isMissing ? halfType : "float";
}

/** Whether a factor has 16 bits and the product's shape, so that the other one scales it. */
function isScaled({ outputs }: Node, factor: Value, halfType: HalfType): boolean {
  return (
    factor.elemType === halfType &&
    factor.shape.length > 2 &&
    factor.shape.join() === outputs[0]?.shape.join()
  );
}

function isFloat({ elemType, type }: Value): boolean {
  return type.kind === "tensor" && (elemType === "float" || isHalfType(elemType));
}

function inType(g: Builder, value: Value, type: Float): Value {
  if (!isFloat(value) || value.elemType === type) return value;
  const { constant } = value;
  if (constant?.elemType === "float") return g.constant(tensorOf(type, constant.numbers(), constant.dims));
  const [before] = value.producer?.opType === "Cast" ? value.producer.inputs : [];
  // 16 bits to float and back is exact
  if (before && before.elemType === type && isHalfType(type)) return before;
  return g.Cast(value, { to: dataTypeNumbers[type] });
}

/** The converted graph with outputs of the types that they had. */
function withTypesOf(graph: Graph, converted: Graph): Graph {
  const g = createBuilder(converted);
  for (const [i, value] of converted.outputs.splice(0).entries()) {
    const { elemType, name = "" } = graph.outputs[i] ?? value;
    if (elemType === value.elemType) converted.outputs.push(value);
    else {
      value.name = undefined;
      g.output(g.Cast(value, { to: dataTypeNumbers[elemType] }), name);
    }
  }
  return converted;
}
