import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { type Graph, isOp, type Node, type Value } from "../../ir.ts";
import { windowOf } from "../../operators/windows.ts";
import { Tensor } from "../../tensor.ts";
import { isReadOnce, sharedName } from "./transform.ts";

/**
 * A convolution's filters: `W`, row-major with shape `dims` [filters, channels / group, ...kernel], and `B`
 * [filters].
 */
export interface Filters {
  readonly dims: readonly number[];
  readonly W: Float64Array;
  readonly B: Float64Array;
}

/** A Conv whose filters are constants, with its input and its window. */
export interface Convolution extends Filters {
  readonly node: Node<"Conv">;
  readonly X: Value;
  readonly group: number;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/**
 * Returns the Conv that makes a value; undefined for another operator, and where W or B is not a float or
 * double constant.
 */
export function convolutionOf(value: Value | null | undefined): Convolution | undefined {
  const node = value?.producer;
  if (!isOp(node, "Conv")) return undefined;
  const { dims = [] } = node.input(1).constant ?? {};
  const W = doublesOf(node.input(1));
  const bias = node.inputs[2];
  const B = W && (bias ? doublesOf(bias) : new Float64Array(at(dims, 0)));
  if (!W || !B) return undefined;
  const { group } = node.attributes;
  return { node, X: node.input(0), dims, W, B, group, ...windowOf(dims.slice(2), node.attributes) };
}

/** The elements of a float or double constant; undefined for any other value. */
function doublesOf({ constant }: Value): Float64Array | undefined {
  const data = constant?.data;
  return data instanceof Float32Array || data instanceof Float64Array ? new Float64Array(data) : undefined;
}

/**
 * Returns `convolutionOf(value)` where the convolution has a single reader, else undefined.
 * `old` is the value's counterpart in the graph before the rewrite.
 */
export function ownConvolution(graph: Graph, old: Value | null | undefined, value: Value | null | undefined) {
  return isReadOnce(graph, old) ? convolutionOf(value) : undefined;
}

/**
 * Appends a Conv that replaces other convolutions and returns its output. The Conv and its filters get the
 * name segments that the replaced ones share (`sharedName`).
 */
export function appendConvolution(
  g: Builder,
  replaced: readonly Convolution[],
  X: Value,
  { dims, W, B }: Filters,
  { group, strides, dilations, pads }: Pick<Convolution, "group" | "strides" | "dilations" | "pads">,
): Value {
  const weights = replaced.map(({ node }) => node.input(1));
  const name = sharedName(
    weights.map((weight) => weight.name),
    ".",
  );
  const biasName = name?.endsWith(".weight") ? name.replace(/weight$/, "bias") : undefined;
  const elemType = weights[0]?.elemType === "double" ? "double" : "float";
  const constant = (shape: readonly number[], values: Float64Array, as: string | undefined) => {
    const data = elemType === "double" ? new Float64Array(values) : new Float32Array(values);
    return g.constant(new Tensor(elemType, shape, data), as);
  };
  const path = sharedName(
    replaced.map(({ node }) => node.name),
    "/",
  );
  const attributes = { kernel_shape: dims.slice(2), group, strides, dilations, pads };
  const inputs = [X, constant(dims, W, name), constant([B.length], B, biasName)];
  return g.node("Conv", inputs, attributes, path).output(0);
}

/**
 * Returns filters with `front[i]` zeros added before and `back[i]` after the kernel, for each spatial axis i.
 */
export function growKernel(
  { dims, W, B }: Filters,
  front: readonly number[],
  back: readonly number[],
): Filters {
  const kernel = dims.slice(2);
  const grown = kernel.map((size, i) => size + at(front, i) + at(back, i));
  const volume = (sizes: readonly number[]) => sizes.reduce((product, size) => product * size, 1);
  const planes = volume(dims.slice(0, 2));
  const data = new Float64Array(planes * volume(grown));
  for (const [source, weight] of W.entries()) {
    let rest = source % volume(kernel);
    let [place, stride] = [0, 1];
    for (let axis = kernel.length - 1; axis >= 0; axis--) {
      const size = at(kernel, axis);
      place += ((rest % size) + at(front, axis)) * stride;
      rest = Math.floor(rest / size);
      stride *= at(grown, axis);
    }
    data[Math.floor(source / volume(kernel)) * volume(grown) + place] = weight;
  }
  return { dims: [...dims.slice(0, 2), ...grown], W: data, B };
}

/** Returns W[f] * gain(f) and B[f] * gain(f) + shift(f) for every filter f. */
export function scaleFilters(
  { dims, W, B }: Filters,
  gain: (filter: number) => number,
  shift: (filter: number) => number = () => 0,
): Filters {
  const size = W.length / B.length;
  const scaled = new Float64Array(W.length);
  for (let filter = 0; filter < B.length; filter++) {
    const factor = gain(filter);
    for (let i = filter * size; i < (filter + 1) * size; i++) scaled[i] = at(W, i) * factor;
  }
  return {
    dims,
    W: scaled,
    B: B.map((bias, i) => bias * gain(i) + shift(i)),
  };
}
