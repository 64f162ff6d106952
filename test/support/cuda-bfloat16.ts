import type { Graph, Node } from "../../graph-builder/index.ts";

/**
 * What ONNX Runtime's CUDA provider computes in bfloat16 at opset 22, of what a training step is made of
 * (onnxruntime docs/OperatorKernels.md at 001d12d2, CUDAExecutionProvider).
 */
const kernels: ReadonlySet<string> = new Set([
  ...["Add", "BiasDropout", "Cast", "Concat", "Conv", "Div", "Exp", "Expand", "Flatten", "FusedMatMul"],
  ...["Gather", "Gemm", "HardSigmoid", "Identity", "MatMul", "Max", "Min", "Mul", "Neg", "ReduceSum"],
  ...["Relu", "Reshape", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Split", "Sqrt", "Squeeze"],
  ...["Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where"],
]);

/** The nodes that read or make bfloat16 and have no such kernel on CUDA, a line each. */
export function withoutBfloat16Kernel({ nodes }: Graph): string[] {
  const has = ({ inputs, outputs }: Node) =>
    [...inputs, ...outputs].some((value) => value?.elemType === "bfloat16");
  return nodes
    .filter((node) => has(node) && !(kernels.has(node.opType) && node.operator.domain !== NHWC))
    .map(({ opType, name }) => `${opType} at ${name}`);
}

const NHWC = "com.ms.internal.nhwc";
