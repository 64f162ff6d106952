import type { Graph, Node } from "./ir.ts";
import type { OpType } from "./operators/index.ts";
import { type DataType, elementCount } from "./types.ts";

/** What a graph costs for one image. A multiplication with its addition counts as two FLOPs. */
export interface Cost {
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Bytes of every float value that a forward node makes: what training must keep for the backward pass. */
  readonly activationBytes: number;
}

/** The FLOPs of one node for a batch of one image. */
export function flopsOf(node: Node): number {
  const rule = rules[node.opType];
  return rule ? rule(node) : elements(node.outputs[0]);
}

/** The cost of a graph for one image, from its shapes alone. */
export function costOf(graph: Graph): Cost {
  let [forwardFlops, backwardFlops, activationBytes] = [0, 0, 0];
  for (const node of graph.nodes) {
    // what reads constants alone is computed once
    if (node.inputs.length > 0 && node.inputs.every((input) => !input || input.constant)) continue;
    if (isBackward(node)) backwardFlops += flopsOf(node);
    else {
      forwardFlops += flopsOf(node);
      const made = node.outputs.filter(({ uses }) => uses.length > 0 && !isView(node));
      for (const output of made) activationBytes += (floatBytes[output.elemType] ?? 0) * elements(output);
    }
  }
  return { forwardFlops, backwardFlops, activationBytes };
}

const floatBytes: { readonly [T in DataType]?: number } = { float16: 2, float: 4, double: 8 };

/** Whether a node belongs to the backward pass: autodiff names it under `<node>_Grad`. */
export function isBackward(node: Node): boolean {
  return /_grad\//i.test(node.name);
}

function isView({ opType }: Node): boolean {
  return ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"].includes(opType);
}

type Rule = (node: Node) => number;

/** Operators whose cost is not one FLOP an output element. */
const rules: { readonly [K in OpType]?: Rule } = {
  Conv: (node) => 2 * elements(node.output(0)) * perFilter(node.input(1)),
  NchwcConv: (node) => 2 * elements(node.output(0)) * perFilter(node.input(1)),
  ConvTranspose: (node) => 2 * elements(node.input(0)) * perFilter(node.input(1)),
  // one convolution's work each for dX and dW
  ConvGrad: (node) => {
    const wanted = node.outputs
      .slice(0, 2)
      .filter((output) => output.uses.length > 0 || output.name?.endsWith("_grad"));
    return wanted.length * 2 * elements(node.input(0)) * perFilter(node.input(2));
  },
  MatMul: (node) => 2 * elements(node.output(0)) * Number(node.input(0).shape.at(-1) ?? 1),
  Gemm: (node) => {
    const [rows = 1, columns = 1] = node.input(0).shape;
    const inner = (node as Node<"Gemm">).attributes.transA ? rows : columns;
    return 2 * elements(node.output(0)) * (typeof inner === "number" ? inner : 1);
  },
  BatchNormalization: (node) => 2 * elements(node.output(0)),
  // mean, variance, normalise
  BatchNormInternal: (node) => 7 * elements(node.output(0)),
  BatchNormalizationGrad: (node) => 9 * elements(node.output(0)),
  ShakeForward: (node) => 3 * elements(node.output(0)),
  ShakeBackward: (node) => 2 * elements(node.output(0)),
  ReduceSum: (node) => elements(node.input(0)),
  ReduceMean: (node) => elements(node.input(0)),
  ReduceL2: (node) => 2 * elements(node.input(0)),
  ReduceLogSumExp: (node) => 2 * elements(node.input(0)),
  GlobalAveragePool: (node) => elements(node.input(0)),
  Reshape: () => 0,
  Flatten: () => 0,
  Squeeze: () => 0,
  Unsqueeze: () => 0,
  Identity: () => 0,
  Shape: () => 0,
  InPlaceAccumulatorV2: (node) => elements(node.input(1)),
};

function elements(value: Node["outputs"][number] | undefined): number {
  return value?.type.kind === "tensor" ? elementCount(value.shape) : 0;
}

/** The multiplications behind one output element of a convolution: the weight's elements a filter. */
function perFilter(W: Node["outputs"][number]): number {
  return elementCount(W.shape.slice(1));
}
