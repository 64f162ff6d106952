import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { fitSpatial, floatLike } from "../../composites.ts";
import { differenceOf, productOf, sumOf } from "../../dims.ts";
import type { Node, Value } from "../../ir.ts";
import { staticDim } from "../../operators/inference.ts";
import { spanOf, type Window, windowOf } from "../../operators/windows.ts";
import { tensorOf } from "../../tensor.ts";
import { elementCount, type Shape } from "../../types.ts";

/** The pooling of an input of shape `dims` [N, C, ...] whose spatial sizes `sizes` computes as int64. */
interface Pooling {
  readonly dims: Shape;
  readonly sizes: () => Value;
  readonly attributes: Node<"AveragePool">["attributes"];
  /** The window with end pads that reach the end of its last place. */
  readonly window: Window;
  /** The pixels behind the last place; undefined where they depend on the size of a symbol. */
  readonly unread: readonly (number | undefined)[];
}

/**
 * The gradient of an AveragePool over an input of shape `dims` [N, C, ...]: every window spreads dY / (pixels
 * it averaged). `sizes` computes the spatial dimensions of the input as int64; it is called where one is a
 * symbol. ONNX Runtime's AveragePoolGrad would fix the batch size.
 */
export function averagePoolGradient(
  g: Builder,
  dY: Value,
  dims: Shape,
  attributes: Node<"AveragePool">["attributes"],
  sizes: () => Value = () => g.int64(dims.slice(2).map((_, i) => staticDim(dims, i + 2))),
): Value {
  const pooling = poolingOf(dY, dims, attributes, sizes);
  const { window, unread } = pooling;
  const { kernel, strides, dilations, pads } = window;
  const share = shareOf(g, dY, pooling);
  const channels = staticDim(dims, 1);
  const weights = ones(g, dY, [channels, 1, ...kernel]);
  const spread = { group: channels, pads, strides, ...(attributes.dilations ? { dilations } : {}) };
  const known = unread.filter((count) => count !== undefined);
  if (known.length === unread.length)
    return g.ConvTranspose(share, weights, { ...spread, output_padding: known });
  const trimmed = { ...spread, pads: pads.map((pad, i) => (i < kernel.length ? pad : 0)) };
  return fitSpatial(g, g.ConvTranspose(share, weights, trimmed), dims.slice(2), sizes);
}

function poolingOf(dY: Value, dims: Shape, attributes: Pooling["attributes"], sizes: () => Value): Pooling {
  const given = windowOf(attributes.kernel_shape, attributes);
  const rank = given.kernel.length;
  const pads = [...given.pads];
  const unread = given.kernel.map((_, i) => {
    const [size, stride] = [sumOf(at(dims, i + 2), at(given.pads, i)), at(given.strides, i)];
    const read = sumOf(productOf([stride, sumOf(at(dY.shape, i + 2), -1)]), spanOf(given, i));
    const behind = differenceOf(sumOf(size, at(pads, i + rank)), read);
    if (typeof behind === "number" && behind < 0) pads[i + rank] = at(pads, i + rank) - behind;
    // ceil_mode places as many windows as there are over stride - 1 more pixels
    if (typeof behind !== "number" && attributes.ceil_mode) pads[i + rank] = at(pads, i + rank) + stride - 1;
    return typeof behind === "number" ? Math.max(0, behind) : undefined;
  });
  return { dims, sizes, attributes, window: { ...given, pads }, unread };
}

/** dY / (pixels that each window averages). */
function shareOf(g: Builder, dY: Value, { dims, sizes, attributes, window }: Pooling): Value {
  const { kernel, strides, dilations, pads } = window;
  const { count_include_pad, ceil_mode } = attributes;
  const isPadded = pads.some((pad) => pad > 0);
  if (!isPadded || (count_include_pad && !ceil_mode))
    return g.Div(dY, floatLike(g, dY, elementCount(kernel)));
  const spatial = dims.slice(2);
  const isKnown = spatial.every((dim) => typeof dim === "number");
  const image = isKnown
    ? ones(g, dY, [1, 1, ...spatial.map(Number)])
    : g.Expand(floatLike(g, dY, 1), g.Concat(g.int64([1, 1]), sizes(), { axis: 0 }));
  const more = attributes.dilations ? { dilations } : {};
  const pixels = g.Conv(image, ones(g, dY, [1, 1, ...kernel]), {
    kernel_shape: kernel,
    pads,
    strides,
    ...more,
  });
  // the pool of ones is the part of the divisor that is no padding
  return count_include_pad ? g.Mul(dY, g.Div(g.AveragePool(image, attributes), pixels)) : g.Div(dY, pixels);
}

function ones(g: Builder, { elemType }: Value, dims: readonly number[]): Value {
  return g.constant(tensorOf(elemType, Array(elementCount(dims)).fill(1), dims));
}
