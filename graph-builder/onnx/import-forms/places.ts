import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { castLike, floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { normalAxis, refuse, staticDim } from "../../operators/inference.ts";
import { type ImportForm, numberList } from "./form.ts";

/** The int64 scalar at a place of a list. */
function entry(g: Builder, list: Value, i: number): Value {
  return g.Gather(list, g.int64(i));
}

/**
 * The places [N, ..., axes] of an affine transformation, from matrices theta [N, axes, axes + 1]. The places
 * before it lie evenly between -1 and 1, which are the centres or, by default, the outer edges of the first
 * and the last element.
 */
const affineGrid: ImportForm["read"] = (g, { inputs: [theta, size], attributes: { align_corners = 0 } }) => {
  if (!theta || !size) return refuse("it needs theta and the size of the pictures");
  const rank = staticDim(theta.shape, 1);
  const number = (value: number) => floatLike(g, theta, value);
  const spatial = g.Slice(size, g.int64([2]), g.int64([rank + 2]));
  const whole = g.Concat(spatial, g.int64([1]), { axis: 0 });
  const coordinates = Array.from({ length: rank }, (_, i) => {
    const count = entry(g, size, i + 2);
    const length = castLike(g, count, theta);
    const places = castLike(g, g.Range(g.int64(0), count, g.int64(1)), theta);
    const twice = g.Add(places, places);
    const along = align_corners
      ? g.Sub(g.Div(twice, g.Max(g.Sub(length, number(1)), number(1))), number(1))
      : g.Sub(g.Div(g.Add(twice, number(1)), length), number(1));
    const others = Array.from({ length: rank + 1 }, (__, axis) => axis).filter((axis) => axis !== i);
    return g.Expand(g.Unsqueeze(along, g.int64(others)), whole);
  });
  const ones = g.Expand(number(1), whole);
  const homogeneous = g.Concat(...coordinates.reverse(), ones, { axis: -1 });
  const places = g.Reshape(homogeneous, g.int64([-1, rank + 1]));
  const moved = g.MatMul(places, g.Transpose(theta, { perm: [0, 2, 1] }));
  const shape = g.Concat(g.Shape(theta, { end: 1 }), spatial, g.int64([rank]), { axis: 0 });
  return [g.Reshape(moved, shape)];
};

/** Crops and pads both ends alike to a shape; of an odd number, the end has one more. */
const centerCropPad: ImportForm["read"] = (g, { inputs: [data, shape], attributes: { axes } }) => {
  if (!data || !shape) return refuse("it needs data and a shape");
  const rank = data.shape.length;
  const along =
    axes === undefined
      ? data.shape.map((_, axis) => axis)
      : numberList("axes", axes).map((axis) => normalAxis(axis, rank));
  const missing = along.map((axis, i) =>
    g.Sub(g.Slice(shape, g.int64([i]), g.int64([i + 1])), g.Shape(data, { start: axis, end: axis + 1 })),
  );
  // a division of integers rounds towards 0
  const before = missing.map((count) => g.Div(count, g.int64([2])));
  const after = missing.map((count, i) => g.Sub(count, at(before, i)));
  const ofAxis = (amounts: readonly Value[], axis: number) =>
    along.includes(axis) ? at(amounts, along.indexOf(axis)) : g.int64([0]);
  const pads = [before, after].flatMap((amounts) => data.shape.map((_, axis) => ofAxis(amounts, axis)));
  return [g.Pad(data, g.Concat(...pads, { axis: 0 }))];
};

/** Operators that compute places, and move elements to them. */
export const places: readonly ImportForm[] = [
  { domain: "", opType: "AffineGrid", read: affineGrid },
  { domain: "", opType: "CenterCropPad", read: centerCropPad },
];
