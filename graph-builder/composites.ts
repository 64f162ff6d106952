import { at } from "./at.ts";
import type { Builder } from "./builder.ts";
import type { Node, Value } from "./ir.ts";
import { dataTypeNumbers } from "./operators/elementwise.ts";
import { dimAt, normalAxis, staticDim, windowOf } from "./operators/inference.ts";
import { floats, tensorOf } from "./tensor.ts";
import { elementCount, type Shape } from "./types.ts";

/** The axes after the batch and the channels. */
export function spatialAxes(X: Value): number[] {
  return X.shape.slice(2).map((_, i) => i + 2);
}

/**
 * How many elements of X lie along the axes, as a scalar of X's type, or float for float16: a constant where
 * all is known.
 */
export function elementsOver(g: Builder, X: Value, axes: readonly number[]): Value {
  const dims = axes.map((axis) => dimAt(X.shape, normalAxis(axis, X.shape.length)));
  const elemType = X.elemType === "float16" ? "float" : X.elemType;
  const known = g.constant(tensorOf(elemType, elementCount(dims.filter((dim) => typeof dim === "number"))));
  const to = dataTypeNumbers[elemType];
  return axes
    .filter((_, i) => typeof dims[i] !== "number")
    .map((axis) => g.Cast(g.Gather(g.Shape(X), g.int64(axis)), { to }))
    .reduce((product, size) => g.Mul(product, size), known);
}

/**
 * The gradient of an AveragePool over an input of shape `dims` [N, C, ...]: every window spreads dY / (pixels
 * it averaged). ONNX Runtime's AveragePoolGrad would fix the batch size. Throws Error for ceil_mode.
 */
export function averagePoolGradient(
  g: Builder,
  dY: Value,
  dims: Shape,
  attributes: Node<"AveragePool">["attributes"],
): Value {
  const [kernel, channels] = [attributes.kernel_shape, staticDim(dims, 1)];
  if (attributes.ceil_mode) throw new Error("the gradient of AveragePool with ceil_mode is not known");
  const { pads, strides } = windowOf(kernel, attributes);
  const share = g.Div(dY, averagedPixels(g, dims, attributes));
  const output_padding = kernel.map((size, i) => {
    const padding = at(pads, i) + at(pads, i + kernel.length);
    return staticDim(dims, i + 2) + padding - size - at(strides, i) * (staticDim(dY.shape, i + 2) - 1);
  });
  const weights = ones(g, [channels, 1, ...kernel]);
  return g.ConvTranspose(share, weights, { group: channels, pads, strides, output_padding });
}

/**
 * The number of pixels that each window of an AveragePool averages: a scalar, or one number for each window
 * where padding does not count.
 */
function averagedPixels(g: Builder, dims: Shape, attributes: Node<"AveragePool">["attributes"]): Value {
  const { kernel_shape: kernel, count_include_pad, pads } = attributes;
  if (count_include_pad || !pads?.some((pad) => pad > 0)) return g.float(elementCount(kernel));
  const image = ones(g, [1, 1, ...kernel.map((_, i) => staticDim(dims, i + 2))]);
  const strides = attributes.strides ?? kernel.map(() => 1);
  return g.Conv(image, ones(g, [1, 1, ...kernel]), { kernel_shape: kernel, pads, strides });
}

function ones(g: Builder, dims: readonly number[]): Value {
  return g.constant(floats(Array(elementCount(dims)).fill(1), dims));
}

/** Sums a gradient over the axes along which its value was broadcast. */
export function unbroadcast(g: Builder, gradient: Value, value: Value): Value {
  const extra = gradient.shape.length - value.shape.length;
  const leading = gradient.shape.slice(0, Math.max(0, extra)).map((_, i) => i);
  const summed = leading.length > 0 ? g.ReduceSum(gradient, g.int64(leading), { keepdims: 0 }) : gradient;
  const stretched = value.shape.flatMap((dim, i) => (dim === 1 && summed.shape[i] !== 1 ? [i] : []));
  return stretched.length > 0 ? g.ReduceSum(summed, g.int64(stretched), { keepdims: 1 }) : summed;
}

/** A scalar constant of a value's element type, for any type that has numbers. */
export function floatLike(g: Builder, { elemType }: Value, value: number): Value {
  return g.constant(tensorOf(elemType, value));
}

/** A value in the element type of another: the same value where the types are equal. */
export function castLike(g: Builder, value: Value, { elemType }: Value): Value {
  return value.elemType === elemType ? value : g.Cast(value, { to: dataTypeNumbers[elemType] });
}
