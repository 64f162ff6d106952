import type { Builder } from "../builder.ts";
import { castLike, elementsOver, floatLike, sizeAt } from "../composites.ts";
import type { Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { Attributes } from "../operators/index.ts";
import { tensorOf } from "../tensor.ts";
import type { Expansion } from "./expansion.ts";

/** An axis of the pictures, and its size as a number of the type in which places are computed. */
interface Axis {
  readonly axis: 2 | 3;
  readonly length: Value;
  readonly bins: number;
  readonly attributes: Attributes<"RoiAlign">;
}

/** The samples of the bins of an axis. */
interface Samples {
  /** The elements before and behind each sample [regions, bins, samples], and their weights. */
  readonly taps: readonly { readonly index: Value; readonly weight: Value }[];
  /**
   * How many samples each region's bins have, [regions, 1, 1], and which of `taps` they are,
   * [regions, 1, samples]; null where that is the same for all.
   */
  readonly own: { readonly count: Value; readonly exists: Value } | null;
}

/**
 * Divides each region (x1, y1, x2, y2) of a picture into bins, reads samples in each bin, and returns their
 * mean or the largest of them. A sample is the weighted sum of the four elements around it. With the mode
 * `max` the weighted elements are not summed, and the largest counts: so ONNX's node tests and ONNX Runtime
 * have it (onnx/onnx#4764). K. He et al., Mask R-CNN, 2017, arXiv:1703.06870.
 */
export const roiAlign: Expansion<"RoiAlign"> = (g, { I, attributes }) => {
  const [X, rois, batches] = [I(0), I(1), I(2)];
  const samplesAlong = (axis: 2 | 3, bins: number) =>
    samplesOf(g, rois, { axis, bins, length: elementsOver(g, X, [axis]), attributes });
  const rows = samplesAlong(2, attributes.output_height);
  const columns = samplesAlong(3, attributes.output_width);
  const channels = g.Shape(X, { start: 1, end: 2 });
  const pixels = g.Reshape(
    g.Transpose(X, { perm: [0, 2, 3, 1] }),
    g.Concat(g.int64([-1]), channels, { axis: 0 }),
  );
  const firstRow = g.Mul(g.Unsqueeze(batches, g.int64([1, 2])), sizeAt(g, X, 2));
  // [regions, bins, samples, bins, samples, channels]
  const terms = rows.taps.flatMap((row) =>
    columns.taps.map((column) => {
      const start = g.Mul(g.Add(firstRow, row.index), sizeAt(g, X, 3));
      const read = g.Gather(pixels, g.Add(asRows(g, start), asColumns(g, column.index)));
      const weight = g.Mul(asRows(g, row.weight), asColumns(g, column.weight));
      return g.Mul(read, castLike(g, g.Unsqueeze(weight, g.int64([5])), X));
    }),
  );
  const pooled = attributes.mode === "max" ? largest(g, terms, rows, columns) : total(g, terms);
  return [g.Transpose(pooled, { perm: [0, 3, 1, 2] })];
};

/** Values of the rows' bins [regions, bins, samples], beside those of the columns. */
function asRows(g: Builder, value: Value): Value {
  return g.Unsqueeze(value, g.int64([3, 4]));
}

function asColumns(g: Builder, value: Value): Value {
  return g.Unsqueeze(value, g.int64([1, 2]));
}

function total(g: Builder, terms: readonly Value[]): Value {
  return g.Sum(...terms.map((term) => g.ReduceSum(term, g.int64([2, 4]), { keepdims: 0 })));
}

/** The largest of the samples that a bin has; 0 where it has none. */
function largest(g: Builder, terms: readonly Value[], rows: Samples, columns: Samples): Value {
  const values = g.Max(...terms);
  const axes = [2, 4];
  if (!rows.own || !columns.own) return g.ReduceMax(values, { axes, keepdims: 0 });
  const exists = g.And(asRows(g, rows.own.exists), asColumns(g, columns.own.exists));
  const low = floatLike(g, values, Number.NEGATIVE_INFINITY);
  const found = g.ReduceMax(g.Where(g.Unsqueeze(exists, g.int64([5])), values, low), { axes, keepdims: 0 });
  const fewest = g.Unsqueeze(g.Min(rows.own.count, columns.own.count), g.int64([3]));
  return g.Where(g.Greater(fewest, floatLike(g, fewest, 0)), found, floatLike(g, values, 0));
}

/** Where the bins of an axis read their samples. */
function samplesOf(g: Builder, rois: Value, along: Axis): Samples {
  const { length, bins, attributes } = along;
  const { start, size } = extentOf(g, rois, along);
  const number = (value: number) => floatLike(g, length, value);
  const list = (count: number) => Array.from({ length: count }, (_, i) => i);
  const bin = g.Div(size, number(bins));
  const ratio = attributes.sampling_ratio;
  const count = ratio > 0 ? number(ratio) : g.Ceil(bin);
  const several = ratio > 0 ? count : g.Max(count, number(1));
  const places = ratio > 0 ? g.constant(tensorOf(length.elemType, list(ratio))) : upTo(g, several);
  const corners = g.Add(start, g.Mul(g.constant(tensorOf(length.elemType, list(bins), [bins, 1])), bin));
  const step = g.Div(bin, several);
  const place = g.Add(corners, g.Mul(g.Add(places, number(0.5)), step));
  const own = ratio > 0 ? null : { count, exists: g.Less(places, count) };
  const taps = tapsOf(g, place, length);
  if (attributes.mode === "max") return { taps, own };
  const share = own ? g.Div(g.Where(own.exists, number(1), number(0)), several) : number(1 / ratio);
  return { taps: taps.map(({ index, weight }) => ({ index, weight: g.Mul(weight, share) })), own };
}

/** Where the regions start along an axis, and their sizes, in elements: both [regions, 1, 1]. */
function extentOf(g: Builder, rois: Value, { axis, length, attributes }: Axis) {
  const isHalf = attributes.coordinate_transformation_mode === "half_pixel";
  const boxes = g.Mul(castLike(g, rois, length), floatLike(g, length, attributes.spatial_scale));
  const corner = (column: number) =>
    g.Unsqueeze(g.Gather(boxes, g.int64([column]), { axis: 1 }), g.int64([2]));
  const [start, end] = [corner(3 - axis), corner(5 - axis)];
  const size = g.Sub(end, start);
  if (isHalf) return { start: g.Sub(start, floatLike(g, length, 0.5)), size };
  return { start, size: g.Max(size, floatLike(g, length, 1)) };
}

/** The numbers 0, 1, ... below the largest of some counts, or 0 alone where there are none. */
function upTo(g: Builder, counts: Value): Value {
  const one = floatLike(g, counts, 1);
  const all = g.Concat(g.Reshape(one, g.int64([1])), g.Reshape(counts, g.int64([-1])), { axis: 0 });
  return g.Range(floatLike(g, counts, 0), g.ReduceMax(all, { keepdims: 0 }), one);
}

/** The elements before and behind a place, and their weights: 0 for a place outside of the picture. */
function tapsOf(g: Builder, place: Value, length: Value): Samples["taps"] {
  const number = (value: number) => floatLike(g, length, value);
  const last = g.Sub(length, number(1));
  const isInside = g.And(g.GreaterOrEqual(place, number(-1)), g.LessOrEqual(place, length));
  const moved = g.Max(place, number(0));
  const whole = g.Floor(moved);
  const fraction = g.Where(g.GreaterOrEqual(whole, last), number(0), g.Sub(moved, whole));
  const tap = (element: Value, weight: Value) => ({
    index: g.Cast(g.Min(element, last), { to: dataTypeNumbers.int64 }),
    weight: g.Where(isInside, weight, number(0)),
  });
  return [tap(whole, g.Sub(number(1), fraction)), tap(g.Add(whole, number(1)), fraction)];
}
