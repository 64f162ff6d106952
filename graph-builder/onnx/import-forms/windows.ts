import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { floatLike, spatialAxes } from "../../composites.ts";
import { type Dim, productOf, sumOf } from "../../dims.ts";
import type { Value } from "../../ir.ts";
import { dimAt, refuse, staticDim, unsupported } from "../../operators/inference.ts";
import { spanOf, windowedDims, windowOf } from "../../operators/windows.ts";
import { tensorOf } from "../../tensor.ts";
import { elementCount } from "../../types.ts";
import { type ForeignNode, type ImportForm, type NodeForm, numberList } from "./form.ts";

/** The numbers of an attribute, or `fallback` where it is left out. */
function numbersOf(
  attributes: NodeForm["attributes"],
  name: string,
  fallback: readonly number[],
): readonly number[] {
  return attributes[name] === undefined ? fallback : numberList(name, attributes[name]);
}

/** The window of a node, without its pads. */
function windowAlone(kernel: readonly number[], attributes: NodeForm["attributes"]) {
  const ones = kernel.map(() => 1);
  return windowOf(kernel, {
    auto_pad: "NOTSET",
    strides: numbersOf(attributes, "strides", ones),
    dilations: numbersOf(attributes, "dilations", ones),
  });
}

/** The kernel that a node says, or the sizes of its weight's. */
function kernelOf({ inputs: [, W], attributes }: ForeignNode): readonly number[] {
  if (attributes["kernel_shape"] !== undefined) return numberList("kernel_shape", attributes["kernel_shape"]);
  if (!W) return refuse("attribute kernel_shape is missing");
  return W.shape.slice(2).map((_, i) => staticDim(W.shape, i + 2));
}

/**
 * The attributes with pads in place of `auto_pad`. SAME pads so that a stride of 1 keeps the size; of an odd
 * number of pixels SAME_UPPER has one more at the end, and SAME_LOWER at the start.
 */
export function explicitPads(node: ForeignNode): NodeForm["attributes"] {
  const { inputs, attributes } = node;
  const { auto_pad = "NOTSET", ...rest } = attributes;
  if (auto_pad === "NOTSET") return rest;
  const { pads: _, ...unpadded } = rest;
  if (auto_pad === "VALID") return unpadded;
  const X = inputs[0] ?? refuse("input X is missing");
  const window = windowAlone(kernelOf(node), rest);
  const totals = window.strides.map((stride, i) =>
    samePadding(dimAt(X.shape, i + 2), stride, Number(spanOf(window, i))),
  );
  return { ...unpadded, pads: halves(totals, auto_pad === "SAME_LOWER") };
}

function samePadding(dim: Dim, stride: number, span: number): number {
  if (stride === 1) return span - 1;
  if (typeof dim !== "number")
    return unsupported(`with auto_pad the size ${dim} must be known when the graph is built`);
  return Math.max(0, (Math.ceil(dim / stride) - 1) * stride + span - dim);
}

/**
 * The pads of every axis, at the starts and then at the ends, with the larger half at the start or the end.
 */
function halves(totals: readonly number[], isMoreAtStart: boolean): number[] {
  const smaller = totals.map((total) => Math.floor(total / 2));
  const larger = totals.map((total) => Math.ceil(total / 2));
  return isMoreAtStart ? [...larger, ...smaller] : [...smaller, ...larger];
}

/** A convolution or a pool whose pads may be automatic. */
function padded(opType: "Conv" | "MaxPool" | "AveragePool"): ImportForm {
  return {
    domain: "",
    opType,
    read: (_, node) => ({ inputs: node.inputs, attributes: explicitPads(node) }),
  };
}

/**
 * ConvTranspose with pads and output_padding in place of `auto_pad` and `output_shape`. SAME makes an output
 * of stride times the input's size.
 */
const convTranspose: ImportForm["read"] = (g, node) => withSmallPadding(g, explicitOutput(node));

/**
 * ConvTranspose with an output_padding below the stride, which is all that ONNX Runtime runs: the rest takes
 * the place of end pads, or is added behind the output.
 */
function withSmallPadding(g: Builder, { inputs, attributes }: NodeForm): NodeForm | readonly Value[] {
  const extra = numbersOf(attributes, "output_padding", []);
  const zeros = extra.map(() => 0);
  const strides = numbersOf(
    attributes,
    "strides",
    zeros.map(() => 1),
  );
  const pads = numbersOf(attributes, "pads", [...zeros, ...zeros]);
  const beyond = extra.map((size, i) => Math.max(0, size - at(strides, i) + 1));
  if (beyond.every((size) => size === 0)) return { inputs, attributes };
  const rank = extra.length;
  const ends = beyond.map((size, i) => at(pads, i + rank) - size);
  const small = {
    ...attributes,
    output_padding: extra.map((size, i) => size - at(beyond, i)),
    pads: [...pads.slice(0, rank), ...ends.map((end) => Math.max(0, end))],
  };
  if (ends.every((end) => end >= 0)) return { inputs, attributes: small };
  const [X = null, W = null, B] = inputs;
  const Y = g.nodeFrom("ConvTranspose", [X, W], small).output(0);
  const behind = ends.map((end) => Math.max(0, -end));
  const whole = g.Pad(Y, g.int64([...Y.shape.map(() => 0), 0, 0, ...behind]));
  return [B ? g.Add(whole, g.Unsqueeze(B, g.int64(zeros.map((_, i) => i + 1)))) : whole];
}

function explicitOutput(node: ForeignNode): NodeForm {
  const { inputs, attributes } = node;
  const { auto_pad = "NOTSET", output_shape, ...rest } = attributes;
  if (auto_pad === "NOTSET" && output_shape === undefined) return { inputs, attributes: rest };
  const { pads: _pads, ...unpadded } = rest;
  if (auto_pad === "VALID" && output_shape === undefined) return { inputs, attributes: unpadded };
  const X = inputs[0] ?? refuse("input X is missing");
  const window = windowAlone(kernelOf(node), rest);
  const zeros = window.kernel.map(() => 0);
  const extra = numbersOf(attributes, "output_padding", zeros);
  const wanted = numbersOf(attributes, "output_shape", []).slice(-window.kernel.length);
  const totals = window.kernel.map((_size, i) => {
    const whole = sumOf(
      productOf([at(window.strides, i), sumOf(dimAt(X.shape, i + 2), -1)]),
      sumOf(spanOf(window, i), at(extra, i)),
    );
    const output = wanted[i] ?? productOf([at(window.strides, i), dimAt(X.shape, i + 2)]);
    const total = sumOf(whole, productOf([-1, output]));
    return typeof total === "number" ? total : unsupported("output_shape needs an input of known size");
  });
  const output_padding = extra.map((size, i) => size + Math.max(0, -at(totals, i)));
  const pads = halves(
    totals.map((total) => Math.max(0, total)),
    auto_pad !== "SAME_UPPER",
  );
  return { inputs, attributes: { ...unpadded, pads, output_padding } };
}

/** (sum of |X|^p)^(1/p) over each window: a depthwise convolution of |X|^p with ones. */
const lpPool: ImportForm["read"] = (g, node) => {
  const X = node.inputs[0] ?? refuse("input X is missing");
  const { p = 2, ceil_mode = 0, ...window } = explicitPads(node);
  const kernel = kernelOf(node);
  const channels = staticDim(X.shape, 1);
  const count = channels * elementCount(kernel);
  const weights = g.constant(tensorOf(X.elemType, Array(count).fill(1), [channels, 1, ...kernel]));
  const strides = numbersOf(
    window,
    "strides",
    kernel.map(() => 1),
  );
  const pads = numbersOf(
    window,
    "pads",
    [...kernel, ...kernel].map(() => 0),
  );
  const alone = { ...windowAlone(kernel, window), strides, pads };
  const places = windowedDims(X.shape.slice(2), alone, ceil_mode === 1);
  // the end pads that make as many places as ceil_mode does
  const reach = kernel.map((_, i) => {
    const [dim, count] = [dimAt(X.shape, i + 2), at(places, i)];
    const [end, stride] = [at(pads, i + kernel.length), at(strides, i)];
    if (typeof dim !== "number" || typeof count !== "number") return ceil_mode ? end + stride - 1 : end;
    return Math.max(0, (count - 1) * stride + Number(spanOf(alone, i)) - dim - at(pads, i));
  });
  const powers = g.node("Conv", [powerOf(g, X, Number(p)), weights], {
    kernel_shape: kernel,
    strides,
    pads: [...pads.slice(0, kernel.length), ...reach],
    group: channels,
    dilations: numbersOf(
      window,
      "dilations",
      kernel.map(() => 1),
    ),
  });
  return [rootOf(g, powers.output(0), Number(p))];
};

/** |X|^p. */
function powerOf(g: Builder, X: Value, p: number): Value {
  if (p === 1) return g.Abs(X);
  return p === 2 ? g.Mul(X, X) : g.Pow(g.Abs(X), floatLike(g, X, p));
}

/** The p-th root, which has the gradient 0 at 0. */
function rootOf(g: Builder, X: Value, p: number): Value {
  if (p === 1) return X;
  const isPositive = g.Greater(X, floatLike(g, X, 0));
  const safe = g.Where(isPositive, X, floatLike(g, X, 1));
  const root = p === 2 ? g.Sqrt(safe) : g.Pow(safe, floatLike(g, X, 1 / p));
  return g.Where(isPositive, root, floatLike(g, X, 0));
}

const globalLpPool: ImportForm["read"] = (g, { inputs: [X], attributes: { p = 2 } }) => {
  if (!X) return refuse("input X is missing");
  const sum = g.ReduceSum(powerOf(g, X, Number(p)), g.int64(spatialAxes(X)));
  return [rootOf(g, sum, Number(p))];
};

/** A MaxPool over the whole picture; of a picture whose size only a run tells, the maximum over its axes. */
const globalMaxPool: ImportForm["read"] = (g, { inputs: [X] }) => {
  if (!X) return refuse("input X is missing");
  const kernel = X.shape.slice(2).filter((dim) => typeof dim === "number");
  const axes = spatialAxes(X);
  return [kernel.length < axes.length ? g.ReduceMax(X, { axes }) : g.MaxPool(X, { kernel_shape: kernel })[0]];
};

/** Puts X into zeros at the indices, which count in the flattened output. */
const maxUnpool: ImportForm["read"] = (g, { inputs: [X, indices, shape], attributes }) => {
  if (!X || !indices) return refuse("it needs X and the indices of its maxima");
  const kernel = numbersOf(attributes, "kernel_shape", []);
  const strides = numbersOf(
    attributes,
    "strides",
    kernel.map(() => 1),
  );
  const pads = numbersOf(
    attributes,
    "pads",
    [...kernel, ...kernel].map(() => 0),
  );
  const sizes = kernel.map((size, i) => size - at(pads, i) - at(pads, i + kernel.length) - at(strides, i));
  const spatial = () => g.Add(g.Mul(g.Shape(X, { start: 2 }), g.int64(strides)), g.int64(sizes));
  const dims = g.Concat(g.Shape(X, { end: 2 }), spatial(), { axis: 0 });
  const zeros = g.Reshape(g.Expand(floatLike(g, X, 0), dims), g.int64([-1]));
  const [places, updates] = [g.Reshape(indices, g.int64([-1])), g.Reshape(X, g.int64([-1]))];
  const Y = g.Reshape(g.ScatterElements(zeros, places, updates), dims);
  // the indices count in the picture without output_shape, which adds zeros behind it
  return [shape ? g.Pad(Y, g.Concat(g.int64(X.shape.map(() => 0)), g.Sub(shape, dims), { axis: 0 })) : Y];
};

/** Convolutions and pools: windows that move over pictures. */
export const windows: readonly ImportForm[] = [
  padded("Conv"),
  padded("MaxPool"),
  padded("AveragePool"),
  { domain: "", opType: "ConvTranspose", read: convTranspose },
  { domain: "", opType: "LpPool", read: lpPool },
  { domain: "", opType: "GlobalLpPool", read: globalLpPool },
  { domain: "", opType: "GlobalMaxPool", read: globalMaxPool },
  { domain: "", opType: "MaxUnpool", read: maxUnpool },
];
