import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { combinations } from "../../combinations.ts";
import { castLike, elementsOver, floatLike, sizeAt, spatialAxes } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { dimAt, mayEqual, refuse, staticDim } from "../../operators/inference.ts";
import { tensorOf } from "../../tensor.ts";
import { elementCount } from "../../types.ts";
import { type ForeignNode, type ImportForm, numberList } from "./form.ts";

/** The filter of a deformable convolution: its spatial sizes, and how it moves. */
interface Filter {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  /** How many groups of channels have offsets of their own. */
  readonly offsetGroups: number;
}

function filterOf({ attributes }: ForeignNode, W: Value): Filter {
  const sizes = W.shape.slice(2).map((_, i) => staticDim(W.shape, i + 2));
  const list = (name: string, fallback: readonly number[]) => numberList(name, attributes[name] ?? fallback);
  const ones = sizes.map(() => 1);
  const kernel = list("kernel_shape", sizes);
  if (kernel.join() !== sizes.join()) return refuse(`kernel_shape [${kernel}] is not that of its weights`);
  return {
    kernel,
    strides: list("strides", ones),
    dilations: list("dilations", ones),
    pads: list(
      "pads",
      [...sizes, ...sizes].map(() => 0),
    ),
    offsetGroups: Number(attributes["offset_group"] ?? 1),
  };
}

/** The index of each element of a filter along one of its axes. */
function elementsAlong(kernel: readonly number[], axis: number): number[] {
  const behind = elementCount(kernel.slice(axis + 1));
  return Array.from({ length: elementCount(kernel) }, (_, i) => Math.floor(i / behind) % at(kernel, axis));
}

/**
 * Where each element of the filter reads along an axis, [N groups, elements, places ...], from the offsets
 * [N groups, elements, axes, places ...].
 */
function placesAlong(g: Builder, offset: Value, axis: number, filter: Filter): Value {
  const { kernel, strides, dilations, pads } = filter;
  const moved = g.Gather(offset, g.int64(axis), { axis: 2 });
  const count = sizeAt(g, offset, axis + 3);
  const steps = castLike(g, g.Range(g.int64(0), count, g.int64(1)), offset);
  const starts = g.Sub(
    g.Mul(steps, floatLike(g, offset, at(strides, axis))),
    floatLike(g, offset, at(pads, axis)),
  );
  const behind = kernel.map((_, i) => i).slice(axis + 1);
  const along = behind.length > 0 ? g.Unsqueeze(starts, g.int64(behind.map((i) => i - axis))) : starts;
  const elements = elementsAlong(kernel, axis).map((element) => element * at(dilations, axis));
  const within = g.constant(tensorOf(offset.elemType, elements, [elements.length, ...kernel.map(() => 1)]));
  return g.Add(moved, g.Add(within, along));
}

/** Two neighbours along an axis: the index of each, and its weight, which is 0 outside of the picture. */
function neighbours(
  g: Builder,
  place: Value,
  size: Value,
): { readonly index: Value; readonly weight: Value }[] {
  const number = (value: number) => floatLike(g, place, value);
  const last = g.Sub(size, number(1));
  const first = g.Floor(place);
  const fraction = g.Sub(place, first);
  const weights = [g.Sub(number(1), fraction), fraction];
  return [first, g.Add(first, number(1))].map((element, i) => {
    const isInside = g.And(g.GreaterOrEqual(element, number(0)), g.LessOrEqual(element, last));
    const index = g.Cast(g.Min(g.Max(element, number(0)), last), { to: dataTypeNumbers.int64 });
    return { index, weight: g.Where(isInside, at(weights, i), number(0)) };
  });
}

/** What the filter's elements read of X, [N groups, channels, elements places], without the mask. */
function samples(g: Builder, X: Value, moved: Value, filter: Filter): Value {
  const axes = spatialAxes(X);
  const taps = axes.map((axis, i) =>
    neighbours(g, placesAlong(g, moved, i, filter), castLike(g, elementsOver(g, X, [axis]), X)),
  );
  const channels = staticDim(X.shape, 1) / filter.offsetGroups;
  if (!Number.isInteger(channels)) return refuse(`its channels are not in ${filter.offsetGroups} groups`);
  const sizes = g.Concat(g.int64([-1, channels]), placeCount(g, X), { axis: 0 });
  const pixels = g.Transpose(g.Reshape(X, sizes), { perm: [0, 2, 1] });
  const flat = (value: Value) => g.Unsqueeze(g.Reshape(value, g.int64([0, -1])), g.int64([2]));
  const terms = combinations(taps).map((taken) => {
    const index = taken
      .map((tap) => tap.index)
      .reduce((sum, next, i) => g.Add(g.Mul(sum, sizeAt(g, X, i + 2)), next));
    const weight = taken.map((tap) => tap.weight).reduce((a, b) => g.Mul(a, b));
    return g.Mul(g.GatherND(pixels, flat(index), { batch_dims: 1 }), flat(weight));
  });
  return g.Transpose(terms.length > 1 ? g.Sum(...terms) : at(terms, 0), { perm: [0, 2, 1] });
}

/** How many places a picture has, as a list. */
function placeCount(g: Builder, X: Value): Value {
  return g.Shape(g.Reshape(X, g.int64([0, 0, -1])), { start: 2 });
}

/** A convolution whose kernel reads X at places that are moved by the offsets, times the mask. */
const deformConv: ImportForm["read"] = (g, node) => {
  const [X, W, offset, B, mask] = node.inputs;
  if (!X || !W || !offset) return refuse("it needs X, W and the offsets");
  const filter = filterOf(node, W);
  const { kernel, offsetGroups } = filter;
  const elements = elementCount(kernel);
  const places = g.Shape(offset, { start: 2 });
  const grouped = (value: Value, ...sizes: readonly number[]) =>
    g.Reshape(value, g.Concat(g.int64([-1, elements, ...sizes]), places, { axis: 0 }));
  if (!mayEqual(dimAt(offset.shape, 1), offsetGroups * elements * kernel.length))
    return refuse(`${offset.shape[1]} offsets do not fit ${offsetGroups} groups of ${elements} elements`);
  const read = samples(g, X, grouped(offset, kernel.length), filter);
  const masked = mask
    ? g.Mul(read, g.Unsqueeze(g.Reshape(grouped(mask), g.int64([0, -1])), g.int64([1])))
    : read;
  const groups = Number(node.attributes["group"] ?? 1);
  const [made, inputs] = [staticDim(W.shape, 0), staticDim(W.shape, 1) * elements];
  const rows = g.Concat(g.int64([-1, groups, inputs]), placeCount(g, offset), { axis: 0 });
  const product = g.MatMul(g.Reshape(W, g.int64([groups, made / groups, inputs])), g.Reshape(masked, rows));
  const shape = g.Concat(g.Shape(X, { end: 1 }), g.int64([made]), places, { axis: 0 });
  const Y = g.Reshape(product, shape);
  return [B ? g.Add(Y, g.Unsqueeze(B, g.int64(kernel.map((_, i) => i + 1)))) : Y];
};

/** Deformable convolutions (Dai et al. 2017; with a mask, Zhu et al. 2019). */
export const deformable: readonly ImportForm[] = [{ domain: "", opType: "DeformConv", read: deformConv }];
