import type { Builder } from "../builder.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { nameValues } from "../names.ts";
import { rewriteGraph } from "../rewrite.ts";
import { floats, Tensor } from "../tensor.ts";

/** The numbers that a value takes. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Weights in 7 of 8 bits: two products with a byte then fit the 16 bits in which x86 without VNNI adds them. */
const WEIGHT_LIMIT = 63;

/**
 * A graph whose convolutions and Gemms compute in 8 bits, in ONNX's QDQ form, which runtimes fuse: what they read and what a Conv returns
 * is rounded to uint8 over its range, weights to int8 with a scale for each filter, biases to int32. The rest stays float.
 * `ranges` are by the names that the graph's file gives its values. Throws Error for a value without a range.
 */
export function quantizeGraph(graph: Graph, ranges: ReadonlyMap<string, Range>): Graph {
  const names = nameValues(graph);
  const steps = new Map<Value, Step>();
  return rewriteGraph(graph, (node, inputs, g) => {
    const [X, W, B = null] = inputs;
    if (!isMultiplication(node) || !X || !W?.constant) return undefined;
    const range = (value: Value) => ranges.get(names.get(value) ?? "") ?? missing(names.get(value));
    const step = steps.get(X) ?? rounded(g, X, range(node.input(0)));
    steps.set(X, step);
    const filters = quantizedFilters(g, W, B, step.scale, filterAxis(node));
    const made = g.node(node.opType, [step.value, ...filters], node.attributes as never, node.name).output(0);
    const original = node.output(0);
    const isActivated = original.uses.length === 1 && original.uses[0]?.node.opType === "Relu";
    const isResult = graph.outputs.includes(original);
    return [isActivated || isResult ? made : rounded(g, made, range(original)).value];
  });
}

/** A value after rounding, and the distance of two neighbours. */
interface Step {
  readonly value: Value;
  readonly scale: number;
}

function isMultiplication({ opType }: Node): boolean {
  return opType === "Conv" || opType === "Gemm";
}

function filterAxis(node: Node): number {
  return node.opType === "Gemm" && !(node as Node<"Gemm">).attributes.transB ? 1 : 0;
}

function missing(name: string | undefined): never {
  throw new Error(`${name} has no range: it was not calibrated`);
}

/** A value through uint8 and back; the range is widened to hold zero, which padding and Relu must hit exactly. */
function rounded(g: Builder, X: Value, { min, max }: Range): Step {
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  const scale = Math.fround((high - low) / 255) || 1;
  const zeroPoint = Math.min(255, Math.max(0, Math.round(-low / scale)));
  const inputs = [g.float(scale), g.constant(new Tensor("uint8", [], Uint8Array.of(zeroPoint)))] as const;
  return { value: g.DequantizeLinear(g.QuantizeLinear(X, ...inputs), ...inputs), scale };
}

/** Weights in int8 and biases in int32, with their way back to float. */
function quantizedFilters(
  g: Builder,
  W: Value,
  B: Value | null,
  inputScale: number,
  axis: number,
): (Value | null)[] {
  const weights = W.constant?.data as Float32Array;
  const bias = B?.constant?.data as Float32Array | undefined;
  const { dims } = W.constant ?? { dims: [] };
  const filters = dims[axis] ?? 1;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const filterOf = (i: number) => Math.floor(i / inner) % filters;
  const scales = new Float32Array(filters);
  for (const [i, weight] of weights.entries()) {
    const at = filterOf(i);
    scales[at] = Math.max(scales[at] ?? 0, Math.abs(weight) / WEIGHT_LIMIT);
  }
  // wide enough for the bias to fit 31 bits
  for (const i of scales.keys()) {
    scales[i] = Math.max(scales[i] ?? 0, Math.abs(bias?.[i] ?? 0) / inputScale / 2 ** 30) || 1;
  }
  const round = (value: number, scale: number) => Math.round(value / scale);
  const whole = Int8Array.from(weights, (weight, i) => round(weight, scales[filterOf(i)] ?? 1));
  const scaleOf = (values: Float32Array, name: string | undefined) =>
    g.constant(floats([...values]), name && `${name}_scale`);
  const weight = g.DequantizeLinear(
    g.constant(new Tensor("int8", dims, whole), W.name),
    scaleOf(scales, W.name),
    g.constant(new Tensor("int8", [filters], new Int8Array(filters))),
    { axis },
  );
  if (!bias) return [weight, null];
  const steps = scales.map((scale) => scale * inputScale);
  const wholeBias = Int32Array.from(bias, (value, i) => round(value, steps[i] ?? 1));
  const shift = g.DequantizeLinear(
    g.constant(new Tensor("int32", [filters], wholeBias), B?.name),
    scaleOf(steps, B?.name),
    g.constant(new Tensor("int32", [filters], new Int32Array(filters))),
    { axis: 0 },
  );
  return [weight, shift];
}
