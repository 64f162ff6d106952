import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { knownNumbers, lengthOf, refuse, staticDim } from "../../operators/inference.ts";
import { tensorOf } from "../../tensor.ts";
import { elementCount } from "../../types.ts";
import { type ImportForm, numberList } from "./form.ts";

/** How columns lie in a picture: for each spatial axis a number, and for pads two. */
interface Layout {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

function layoutOf(attributes: Readonly<Record<string, unknown>>, axes: number): Layout {
  const list = (name: string, count: number, fallback: number) => {
    const numbers = numberList(name, attributes[name] ?? Array.from({ length: count }, () => fallback));
    return numbers.length === count ? numbers : refuse(`${name} must have ${count} numbers`);
  };
  return {
    strides: list("strides", axes, 1),
    dilations: list("dilations", axes, 1),
    pads: list("pads", 2 * axes, 0),
  };
}

/**
 * Columns of blocks of a known size in a picture of a known size: the ConvTranspose whose filter for each
 * element of a block is 1 at that element.
 */
function convolved(
  g: Builder,
  input: Value,
  [sizes, kernel]: readonly [image: readonly number[], block: readonly number[]],
  { strides, dilations, pads }: Layout,
): Value {
  const room = kernel.map((size, i) => {
    const padding = at(pads, i) + at(pads, i + kernel.length);
    return at(sizes, i) + padding - at(dilations, i) * (size - 1) - 1;
  });
  const places = room.map((size, i) => Math.floor(size / at(strides, i)) + 1);
  const elements = elementCount(kernel);
  const channels = staticDim(input.shape, 1) / elements;
  if (!Number.isInteger(channels)) refuse(`${input.shape[1]} rows are not in blocks of ${elements}`);
  const identity = Array.from({ length: elements ** 2 }, (_, i) => (i % (elements + 1) === 0 ? 1 : 0));
  const filters = Array.from({ length: channels }, () => identity).flat();
  const W = g.constant(tensorOf(input.elemType, filters, [channels * elements, 1, ...kernel]));
  const columns = g.Reshape(input, g.int64([0, channels * elements, ...places]));
  return g.ConvTranspose(columns, W, {
    kernel_shape: kernel,
    group: channels,
    ...{ strides, dilations, pads: [...pads] },
    output_padding: room.map((size, i) => size % at(strides, i)),
  });
}

/**
 * Where the elements of blocks lie along one axis of the padded picture: [size of the block, places].
 * `size` and `block` are int64 [1].
 */
function along(g: Builder, size: Value, block: Value, [stride, dilation]: readonly [number, number]): Value {
  const room = g.Sub(g.Sub(size, g.Mul(g.Sub(block, g.int64([1])), g.int64([dilation]))), g.int64([1]));
  const places = g.Add(g.Div(room, g.int64([stride])), g.int64([1]));
  const counted = (count: Value, step: number) =>
    g.Mul(g.Range(g.int64(0), g.Squeeze(count, g.int64([0])), g.int64(1)), g.int64(step));
  return g.Add(g.Unsqueeze(counted(block, dilation), g.int64([1])), counted(places, stride));
}

/**
 * The place of every element of every block in the flattened padded picture, [elements of a block, places]:
 * an axis after the other, as digits of a number.
 */
function placesOf(g: Builder, sizes: readonly Value[], blocks: readonly Value[], layout: Layout): Value {
  const digits = sizes.map((size, i) =>
    along(g, size, at(blocks, i), [at(layout.strides, i), at(layout.dilations, i)]),
  );
  const joined = (outer: Value, inner: Value, size: Value) => {
    const spread = g.Mul(g.Unsqueeze(outer, g.int64([1, 3])), size);
    const both = g.Add(spread, g.Unsqueeze(inner, g.int64([0, 2])));
    const rows = g.Mul(g.Shape(outer, { end: 1 }), g.Shape(inner, { end: 1 }));
    return g.Reshape(both, g.Concat(rows, g.int64([-1]), { axis: 0 }));
  };
  return digits.slice(1).reduce((outer, inner, i) => joined(outer, inner, at(sizes, i + 1)), at(digits, 0));
}

/** Columns of blocks whose size, or that of the picture, only a run tells: added at their places. */
function scattered(
  g: Builder,
  input: Value,
  [image, block]: readonly [image: Value, block: Value],
  layout: Layout,
): Value {
  const axes = layout.strides.length;
  const [begin, end] = [layout.pads.slice(0, axes), layout.pads.slice(axes)];
  const entry = (list: Value, i: number) => g.Slice(list, g.int64([i]), g.int64([i + 1]));
  const padded = g.Add(image, g.int64(begin.map((pad, i) => pad + at(end, i))));
  const entries = (list: Value) => layout.strides.map((_, i) => entry(list, i));
  const places = g.Reshape(placesOf(g, entries(padded), entries(block), layout), g.int64([1, -1]));
  const elements = g.ReduceProd(block, { axes: [0], keepdims: 1 });
  const shape = g.Shape(input);
  const channels = g.Div(entry(shape, 1), elements);
  const pictures = g.Mul(entry(shape, 0), channels);
  const rows = g.Reshape(input, g.Concat(pictures, g.int64([-1]), { axis: 0 }));
  const size = g.ReduceProd(padded, { axes: [0], keepdims: 1 });
  const zeros = g.Expand(floatLike(g, input, 0), g.Concat(pictures, size, { axis: 0 }));
  const sum = g.ScatterElements(zeros, g.Expand(places, g.Shape(rows)), rows, { axis: 1, reduction: "add" });
  const whole = g.Reshape(sum, g.Concat(entry(shape, 0), channels, padded, { axis: 0 }));
  const inner = layout.strides.map((_, i) => i + 2);
  return g.Slice(whole, g.int64(begin), g.Add(image, g.int64(begin)), g.int64(inner));
}

/** Adds columns [N, channels * block, places] into pictures. */
const columnsToImage: ImportForm["read"] = (g, { inputs: [input, image, block], attributes }) => {
  if (!input || !image || !block) return refuse("it needs columns, image_shape and block_shape");
  const layout = layoutOf(attributes, lengthOf(image));
  const [sizes, kernel] = [knownNumbers(image), knownNumbers(block)];
  const isKnown = sizes && kernel && typeof input.shape[1] === "number";
  return [
    isKnown ? convolved(g, input, [sizes, kernel], layout) : scattered(g, input, [image, block], layout),
  ];
};

/** Operators that put blocks back into pictures. */
export const columns: readonly ImportForm[] = [{ domain: "", opType: "Col2Im", read: columnsToImage }];
