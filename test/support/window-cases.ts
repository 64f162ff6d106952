import type { Attributes } from "../../graph-builder/operators/index.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { distinct, type Input, normal } from "./random-tensor.ts";

const ofAnySize = (channels: number) => normal(["batch", channels, "height", "width"]);

function conv(
  title: string,
  X: Input,
  filters: readonly number[],
  attributes: Partial<Attributes<"Conv">>,
): OperatorCase {
  return of("Conv", title, { X, W: normal(filters) }, (g, { X, W }) => g.Conv(X, W, null, attributes));
}

function transposed(
  title: string,
  X: Input,
  filters: readonly number[],
  attributes: Partial<Attributes<"ConvTranspose">>,
): OperatorCase {
  return of("ConvTranspose", title, { X, W: normal(filters) }, (g, { X, W }) =>
    g.ConvTranspose(X, W, null, attributes),
  );
}

function averages(
  title: string,
  X: Input,
  attributes: Partial<Attributes<"AveragePool">> & { readonly kernel_shape: readonly number[] },
): OperatorCase {
  return of("AveragePool", title, { X }, (g, { X }) => g.AveragePool(X, attributes));
}

/**
 * Convolutions and pools whose windows reach the edges of pictures in every way, and pictures of any size.
 */
export const windowCases: readonly OperatorCase[] = [
  conv("any height and width", ofAnySize(2), [3, 2, 3, 3], { pads: [1, 1, 1, 1] }),
  conv("any size, stride 2 and dilation", ofAnySize(2), [2, 2, 3, 2], {
    strides: [2, 3],
    dilations: [2, 1],
    pads: [1, 0, 2, 1],
  }),
  conv("any size, groups, stride 2", ofAnySize(4), [6, 2, 2, 2], { group: 2, strides: [2, 2] }),
  conv("any size, depthwise", ofAnySize(3), [3, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1], strides: [2, 1] }),
  conv("any length", normal(["batch", 2, "height"]), [3, 2, 3], { strides: [3], pads: [0, 1] }),
  conv("three axes, groups, stride, dilation", normal(["batch", 2, 4, 5, 4]), [4, 1, 2, 2, 2], {
    group: 2,
    strides: [2, 1, 1],
    dilations: [1, 2, 1],
  }),
  transposed("any size", ofAnySize(2), [2, 3, 3, 3], { strides: [2, 2], pads: [1, 0, 1, 1] }),
  transposed("any size, groups", ofAnySize(2), [2, 2, 2, 2], { strides: [2, 2], group: 2 }),
  transposed("one axis", normal(["batch", 2, 4]), [2, 3, 3], { strides: [2], output_padding: [1] }),
  transposed("three axes", normal(["batch", 2, 2, 3, 2]), [2, 1, 2, 2, 2], { strides: [2, 1, 2] }),
  averages("ceil_mode", normal(["batch", 2, 6, 7]), { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1 }),
  averages("ceil_mode, padding not counted", normal(["batch", 2, 6, 7]), {
    kernel_shape: [3, 3],
    strides: [2, 3],
    pads: [1, 0, 1, 1],
    ceil_mode: 1,
  }),
  averages("ceil_mode, padding counted", normal(["batch", 2, 6, 7]), {
    kernel_shape: [3, 3],
    strides: [2, 3],
    pads: [1, 1, 1, 1],
    ceil_mode: 1,
    count_include_pad: 1,
  }),
  averages("one axis", normal(["batch", 2, 7]), { kernel_shape: [3], strides: [2], pads: [1, 0] }),
  averages("three axes", normal(["batch", 1, 4, 3, 4]), { kernel_shape: [2, 3, 2], strides: [2, 1, 2] }),
  averages("dilation, padding not counted", normal(["batch", 2, 6, 7]), {
    kernel_shape: [2, 3],
    strides: [2, 1],
    dilations: [2, 2],
    pads: [1, 1, 0, 2],
  }),
  averages("any size", ofAnySize(2), { kernel_shape: [3, 2], strides: [2, 2] }),
  averages("any size, padding not counted", ofAnySize(2), {
    kernel_shape: [3, 3],
    strides: [2, 3],
    pads: [1, 1, 1, 0],
  }),
  averages("any size, ceil_mode", ofAnySize(2), { kernel_shape: [3, 3], strides: [2, 3], ceil_mode: 1 }),
  of(
    "MaxPool",
    "any size",
    { X: distinct(["batch", 2, "height", "width"]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [3, 2], strides: [2, 2] })[0],
  ),
  of(
    "MaxPool",
    "column-major indices",
    { X: distinct(["batch", 2, 5, 4]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [3, 2], storage_order: 1 })[0],
  ),
  of(
    "MaxPool",
    "three axes",
    { X: distinct([1, 2, 4, 3, 4]) },
    (g, { X }) => g.MaxPool(X, { kernel_shape: [2, 3, 2], strides: [2, 1, 1] })[0],
  ),
];
