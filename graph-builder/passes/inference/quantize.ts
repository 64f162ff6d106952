import type { Builder } from "../../builder.ts";
import type { Graph, Node, Value } from "../../ir.ts";
import { nameValues } from "../../names.ts";
import { allocate, floats, Tensor } from "../../tensor.ts";
import type { Pass } from "../pass.ts";
import { rewriteGraph } from "../rewrite.ts";

/** The numbers that a value takes. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Weights in 7 of 8 bits: two products with a byte then fit the 16 bits in which x86 without VNNI adds them. */
const WEIGHT_LIMIT = 63;

/**
 * The pass that makes the convolutions and Gemms of a graph compute in 8 bits, in ONNX's QDQ form, which runtimes fuse: what they read and
 * what a Conv returns is rounded to uint8 over its range, weights to int8 with a scale for each filter, biases to int32. The rest stays
 * float. `ranges` are by the names that the graph's file gives its values. The pass throws Error for a value without a range.
 */
export function quantize(ranges: ReadonlyMap<string, Range>): Pass {
  return { name: "quantize", run: (graph) => quantizeGraph(graph, ranges) };
}

function quantizeGraph(graph: Graph, ranges: ReadonlyMap<string, Range>): Graph {
  const names = nameValues(graph);
  const steps = new Map<Value, Step>();
  return rewriteGraph(graph, (node, inputs, g) => {
    const [X, W, B = null] = inputs;
    if (!isMultiplication(node) || !X || !W?.constant) return undefined;
    const range = (value: Value) => ranges.get(names.get(value) ?? "") ?? missing(names.get(value));
    const step = steps.get(X) ?? rounded(g, X, range(node.input(0)));
    steps.set(X, step);
    const filters = quantizedFilters(g, W, B, step.scale, filterAxis(node));
    const made = g.copy(node, [step.value, ...filters], node.name).output(0);
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
): [Value, Value | null] {
  const weights = W.constant?.data as Float32Array;
  const bias = B?.constant?.data as Float32Array | undefined;
  const { dims } = W.constant ?? { dims: [] };
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const filterOf = (i: number) => Math.floor(i / inner) % (dims[axis] ?? 1);
  const scales = filterScales(weights, bias, { count: dims[axis] ?? 1, filterOf, inputScale });
  const whole = Int8Array.from(weights, (weight, i) => Math.round(weight / (scales[filterOf(i)] ?? 1)));
  const weight = backToFloat(g, new Tensor("int8", dims, whole), scales, W.name, axis);
  if (!bias) return [weight, null];
  const steps = scales.map((scale) => scale * inputScale);
  const wholeBias = Int32Array.from(bias, (value, i) => Math.round(value / (steps[i] ?? 1)));
  return [weight, backToFloat(g, new Tensor("int32", [bias.length], wholeBias), steps, B?.name, 0)];
}

/** A scale for each filter: its largest weight is WEIGHT_LIMIT steps, or more where its bias would not fit 31 bits. */
function filterScales(
  weights: Float32Array,
  bias: Float32Array | undefined,
  {
    count,
    filterOf,
    inputScale,
  }: {
    readonly count: number;
    readonly filterOf: (index: number) => number;
    readonly inputScale: number;
  },
): Float32Array {
  const largest = new Float32Array(count);
  for (const [i, weight] of weights.entries()) {
    largest[filterOf(i)] = Math.max(largest[filterOf(i)] ?? 0, Math.abs(weight));
  }
  return largest.map((weight, i) => {
    const forBias = Math.abs(bias?.[i] ?? 0) / inputScale / 2 ** 30;
    return Math.max(weight / WEIGHT_LIMIT, forBias) || 1;
  });
}

/** Whole numbers times a scale for each entry of an axis; a name is the whole numbers'. */
function backToFloat(
  g: Builder,
  whole: Tensor,
  scales: Float32Array,
  name: string | undefined,
  axis: number,
): Value {
  const scale = g.constant(floats([...scales]), name && `${name}_scale`);
  const zeros = new Tensor(whole.elemType, [scales.length], allocate(whole.elemType, scales.length));
  return g.DequantizeLinear(g.constant(whole, name), scale, g.constant(zeros), { axis });
}
