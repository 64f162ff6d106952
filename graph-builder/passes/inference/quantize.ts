import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { type Graph, isOp, type Node, type Value } from "../../ir.ts";
import { nameValues } from "../../names.ts";
import { allocate, floats, Tensor } from "../../tensor.ts";
import type { Pass } from "../pass.ts";
import { rewriteGraph } from "../rewrite.ts";

/** The smallest and the largest number among a value's elements, over the calibration data. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * The largest quantized weight. Weights use 7 of their 8 bits, because x86 without VNNI adds two products of
 * a uint8 and an int8 in 16 bits and saturates (vpmaddubsw).
 */
const WEIGHT_LIMIT = 63;

/**
 * Returns the pass that quantizes the Conv and Gemm nodes of a graph to 8 bits, in ONNX's QDQ form
 * (QuantizeLinear, DequantizeLinear), which runtimes fuse. Inputs and outputs are rounded to uint8 over their
 * range, weights to int8 with one scale per filter, biases to int32. All other nodes stay float, and so does
 * a Conv or Gemm whose weights or bias are not float constants. `ranges` has the range of each value by its
 * name in the graph's file. The pass throws Error for a value without a range.
 */
export function quantize(ranges: ReadonlyMap<string, Range>): Pass {
  return { name: "quantize", run: (graph) => quantizeGraph(graph, ranges) };
}

function quantizeGraph(graph: Graph, ranges: ReadonlyMap<string, Range>): Graph {
  const names = nameValues(graph);
  const steps = new Map<Value, Step>();
  return rewriteGraph(graph, (node, inputs, g) => {
    const [X, W, B = null] = inputs;
    const weights = W && floatConstant(W);
    const bias = B && floatConstant(B);
    if (!isMultiplication(node) || !X || !weights || bias === undefined) return undefined;
    const range = (value: Value) => ranges.get(names.get(value) ?? "") ?? missing(names.get(value));
    const step = steps.get(X) ?? rounded(g, X, range(node.input(0)));
    steps.set(X, step);
    const filters = quantizedFilters(g, weights, bias, step.scale, filterAxis(node));
    const made = g.copy(node, [step.value, ...filters], node.name).output(0);
    const original = node.output(0);
    const isActivated = original.uses.length === 1 && original.uses[0]?.node.opType === "Relu";
    const isResult = graph.outputs.includes(original);
    return [isActivated || isResult ? made : rounded(g, made, range(original)).value];
  });
}

interface FloatConstant {
  readonly name: string | undefined;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** A constant of type float; undefined for any other value. */
function floatConstant({ constant, name }: Value): FloatConstant | undefined {
  if (!(constant?.data instanceof Float32Array)) return undefined;
  return { name, dims: constant.dims, data: constant.data };
}

/** A quantized value, and its scale: the distance between neighbouring numbers. */
interface Step {
  readonly value: Value;
  readonly scale: number;
}

function isMultiplication({ opType }: Node): boolean {
  return opType === "Conv" || opType === "Gemm";
}

function filterAxis(node: Node): number {
  return isOp(node, "Gemm") && !node.attributes.transB ? 1 : 0;
}

function missing(name: string | undefined): never {
  throw new Error(`${name} has no range: calibrate the model with data first`);
}

/**
 * Rounds a value to uint8 and back. The range is widened to include 0, because padding and Relu need 0 to be
 * exact.
 */
function rounded(g: Builder, X: Value, { min, max }: Range): Step {
  const [low, high] = [Math.min(0, min), Math.max(0, max)];
  const scale = Math.fround((high - low) / 255) || 1;
  const zeroPoint = Math.min(255, Math.max(0, Math.round(-low / scale)));
  const inputs = [g.float(scale), g.constant(new Tensor("uint8", [], Uint8Array.of(zeroPoint)))] as const;
  return { value: g.DequantizeLinear(g.QuantizeLinear(X, ...inputs), ...inputs), scale };
}

/** The weights in int8 and the bias in int32, each behind a DequantizeLinear. */
function quantizedFilters(
  g: Builder,
  W: FloatConstant,
  B: FloatConstant | null,
  inputScale: number,
  axis: number,
): [Value, Value | null] {
  const { dims, data: weights } = W;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const filterOf = (i: number) => Math.floor(i / inner) % at(dims, axis);
  const scales = filterScales(weights, B?.data, { count: at(dims, axis), filterOf, inputScale });
  const whole = Int8Array.from(weights, (weight, i) => Math.round(weight / at(scales, filterOf(i))));
  const weight = backToFloat(g, new Tensor("int8", dims, whole), scales, W.name, axis);
  if (!B) return [weight, null];
  const steps = scales.map((scale) => scale * inputScale);
  const wholeBias = Int32Array.from(B.data, (value, i) => Math.round(value / at(steps, i)));
  return [weight, backToFloat(g, new Tensor("int32", [B.data.length], wholeBias), steps, B.name, 0)];
}

/**
 * One scale per filter: its largest weight becomes WEIGHT_LIMIT; the scale is larger where the int32 bias
 * would overflow.
 */
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
    largest[filterOf(i)] = Math.max(at(largest, filterOf(i)), Math.abs(weight));
  }
  return largest.map((weight, i) => {
    const forBias = Math.abs(bias ? at(bias, i) : 0) / inputScale / 2 ** 30;
    return Math.max(weight / WEIGHT_LIMIT, forBias) || 1;
  });
}

/** Integers behind a DequantizeLinear with one scale for each index of an axis; `name` names the integers. */
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
