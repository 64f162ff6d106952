import type { Builder } from "../../builder.ts";
import type { Graph, Node, Value } from "../../ir.ts";
import { windowOf } from "../../operators/inference.ts";
import { Tensor } from "../../tensor.ts";
import { isReadOnce, sharedName } from "./transform.ts";

/** The filters of a convolution: `W` row-major over `dims` [filters, channels / group, ...kernel], one number of `B` a filter. */
export interface Filters {
  readonly dims: readonly number[];
  readonly W: Float64Array;
  readonly B: Float64Array;
}

/** A Conv whose filters are constants, and where its window lies. */
export interface Convolution extends Filters {
  readonly node: Node<"Conv">;
  readonly X: Value;
  readonly group: number;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/** The convolution that makes a value, undefined where another operator does or its filters are not constants. */
export function convolutionOf(value: Value | null | undefined): Convolution | undefined {
  const node = value?.producer as Node<"Conv"> | undefined;
  if (node?.opType !== "Conv") return undefined;
  const { constant: W } = node.input(1);
  const bias = node.inputs[2];
  if (!W || (bias && !bias.constant) || (W.elemType !== "float" && W.elemType !== "double")) return undefined;
  const [filters = 0] = W.dims;
  return {
    node,
    X: node.input(0),
    dims: W.dims,
    W: new Float64Array(W.data as Float64Array),
    B: bias?.constant ? new Float64Array(bias.constant.data as Float64Array) : new Float64Array(filters),
    group: node.attributes.group,
    ...windowOf(W.dims.slice(2), node.attributes),
  };
}

/** The same where the node that reads it is its only reader; `old` is that node's input in the graph before the rewrite. */
export function ownConvolution(graph: Graph, old: Value | null | undefined, value: Value | null | undefined) {
  return isReadOnce(graph, old) ? convolutionOf(value) : undefined;
}

/** Appends the convolution that takes the place of others, under the name that they share. */
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

/** Filters with `front` and `back` taps of zero added on each spatial axis. */
export function growKernel(
  { dims, W, B }: Filters,
  front: readonly number[],
  back: readonly number[],
): Filters {
  const kernel = dims.slice(2);
  const grown = kernel.map((size, i) => size + (front[i] ?? 0) + (back[i] ?? 0));
  const volume = (sizes: readonly number[]) => sizes.reduce((product, size) => product * size, 1);
  const planes = volume(dims.slice(0, 2));
  const data = new Float64Array(planes * volume(grown));
  for (let at = 0; at < W.length; at++) {
    let rest = at % volume(kernel);
    let [place, stride] = [0, 1];
    for (let axis = kernel.length - 1; axis >= 0; axis--) {
      const size = kernel[axis] ?? 1;
      place += ((rest % size) + (front[axis] ?? 0)) * stride;
      rest = Math.floor(rest / size);
      stride *= grown[axis] ?? 1;
    }
    data[Math.floor(at / volume(kernel)) * volume(grown) + place] = W[at] ?? 0;
  }
  return { dims: [...dims.slice(0, 2), ...grown], W: data, B };
}

/** Every filter and its bias times a number of its own; `shift` is added to the bias. */
export function scaleFilters(
  { dims, W, B }: Filters,
  gain: (filter: number) => number,
  shift: (filter: number) => number = () => 0,
): Filters {
  const size = W.length / B.length;
  const scaled = new Float64Array(W.length);
  for (let filter = 0; filter < B.length; filter++) {
    const factor = gain(filter);
    for (let i = filter * size; i < (filter + 1) * size; i++) scaled[i] = (W[i] ?? 0) * factor;
  }
  return {
    dims,
    W: scaled,
    B: B.map((bias, i) => bias * gain(i) + shift(i)),
  };
}
