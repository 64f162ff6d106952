import { at } from "./at.ts";
import { bodyOver } from "./functions.ts";
import { type Graph, isOp, type Node, type Value } from "./ir.ts";
import { isOpType, type OpType } from "./operators/index.ts";
import { dimAt, normalAxis } from "./operators/inference.ts";
import { type DataType, elementCount } from "./types.ts";

/** What a graph costs for one image. A multiplication with its addition counts as two FLOPs. */
export interface Cost {
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Bytes of every float value that a forward node makes: what training must keep for the backward pass. */
  readonly activationBytes: number;
}

/** The FLOPs of one node, where every symbol of its shapes stands for the number of images in the batch. */
export function flopsOf(node: Node, batch = 1): number {
  const elements: Count = (value, axis = 0) =>
    value?.type.kind === "tensor" ? elementCount(value.shape.slice(axis), {}, batch) : 0;
  const { definition, opType } = node;
  if (definition && !definition.flops) {
    return bodyOver(definition, node.inputs).nodes.reduce((sum, inner) => sum + flopsOf(inner, batch), 0);
  }
  if (isOp(node, "Scan")) return flopsOfScan(node, batch);
  const rule = definition?.flops ?? (isOpType(opType) ? rules[opType] : undefined);
  return rule ? rule(node, elements) : elements(node.outputs[0]);
}

/** The FLOPs of a step times the number of steps. */
function flopsOfScan(node: Node<"Scan">, batch: number): number {
  const { body, num_scan_inputs, scan_input_axes } = node.attributes;
  const { shape } = node.input(node.listedInputs.length - num_scan_inputs);
  const axis = normalAxis(scan_input_axes === undefined ? 0 : at(scan_input_axes, 0), shape.length);
  const steps = elementCount([dimAt(shape, axis)], {}, batch);
  return steps * body.graph.nodes.reduce((sum, inner) => sum + flopsOf(inner, batch), 0);
}

/**
 * The cost of a graph for one image, from its shapes alone; an update, which is the same for any number of
 * images, does not count.
 */
export function costOf(graph: Graph): Cost {
  let [forwardFlops, backwardFlops, activationBytes] = [0, 0, 0];
  for (const node of graph.nodes) {
    // a node that reads only constants is computed once
    if (node.inputs.length > 0 && node.inputs.every((input) => !input || input.constant)) continue;
    if (node.phase === "backward") backwardFlops += flopsOf(node);
    if (node.phase === "forward") {
      forwardFlops += flopsOf(node);
      const made = node.outputs.filter(({ uses }) => uses.length > 0 && !isView(node));
      for (const output of made) activationBytes += bytesOf(output);
    }
  }
  return { forwardFlops, backwardFlops, activationBytes };
}

function bytesOf({ elemType, shape }: Value): number {
  return (floatBytes[elemType] ?? 0) * elementCount(shape);
}

const floatBytes: { readonly [T in DataType]?: number } = { float16: 2, float: 4, double: 8 };

function isView({ opType }: Node): boolean {
  return ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"].includes(opType);
}

/** The elements of a value, or those along its axes from `axis` on. */
export type Count = (value: Value | undefined, axis?: number) => number;
/** The FLOPs of a node; `elements` counts the elements of a value, or those along its axes from `axis` on. */
export type FlopsRule = (node: Node, elements: Count) => number;

/** The products of a recurrent layer with its weights, in every step. */
const recurrentLayer: FlopsRule = (node, elements) => {
  const [X, W, R] = [node.input(0), node.input(1), node.input(2)];
  const rows = elements(X) / elements(X, 2);
  return 2 * rows * (elements(W) + elements(R));
};

/** Operators whose cost is not one FLOP for each output element. */
const rules: { readonly [K in OpType]?: FlopsRule } = {
  Conv: (node, elements) => 2 * elements(node.output(0)) * elements(node.input(1), 1),
  NchwcConv: (node, elements) => 2 * elements(node.output(0)) * elements(node.input(1), 1),
  NhwcConv: (node, elements) => 2 * elements(node.output(0)) * elements(node.input(1), 1),
  NhwcConvTranspose: (node, elements) => 2 * elements(node.input(0)) * elements(node.input(1), 1),
  ConvTranspose: (node, elements) => 2 * elements(node.input(0)) * elements(node.input(1), 1),
  // dX and dW each cost as much as the convolution; a file leaves out an output that is neither read nor
  // named
  ConvGrad: (node, elements) => {
    const wanted = node.outputs
      .slice(0, 2)
      .filter((output) => output.uses.length > 0 || output.name !== undefined);
    return wanted.length * 2 * elements(node.input(0)) * elements(node.input(2), 1);
  },
  MatMul: (node, elements) => 2 * elements(node.output(0)) * elements(node.input(0), -1),
  LSTM: recurrentLayer,
  GRU: recurrentLayer,
  RNN: recurrentLayer,
  Gemm: matrixProduct,
  FusedMatMul: matrixProduct,
  BatchNormalization: (node, elements) => 2 * elements(node.output(0)),
  // mean, variance, normalise
  BatchNormInternal: (node, elements) => 7 * elements(node.output(0)),
  BatchNormalizationGrad: (node, elements) => 9 * elements(node.output(0)),
  ReduceSum: (node, elements) => elements(node.input(0)),
  ReduceMean: (node, elements) => elements(node.input(0)),
  ReduceL2: (node, elements) => 2 * elements(node.input(0)),
  ReduceLogSumExp: (node, elements) => 2 * elements(node.input(0)),
  GlobalAveragePool: (node, elements) => elements(node.input(0)),
  Reshape: () => 0,
  Flatten: () => 0,
  Squeeze: () => 0,
  Unsqueeze: () => 0,
  Identity: () => 0,
  Shape: () => 0,
  InPlaceAccumulatorV2: (node, elements) => elements(node.input(1)),
};

function matrixProduct(node: Node, elements: Count): number {
  const transA = isOp(node, "Gemm", "FusedMatMul") && node.attributes.transA === 1;
  const columns = elements(node.input(0), -1);
  return 2 * elements(node.output(0)) * (transA ? elements(node.input(0), -2) / columns : columns);
}
