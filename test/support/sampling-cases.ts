import type { Given } from "../../graph-builder/builder.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { type Input, normal } from "./random-tensor.ts";

const picture = () => normal([2, 2, 5, 4]);
const pictures = () => normal(["batch", 2, 5, 4]);

function scaled(
  title: string,
  X: Input,
  scales: readonly number[],
  attributes: Given<"Resize">,
  roi?: readonly number[],
): OperatorCase {
  return of("Resize", title, { X }, (g, { X }) =>
    g.Resize(X, roi ? g.float(roi) : null, g.float(scales), attributes),
  );
}

function sized(title: string, X: Input, sizes: readonly number[], attributes: Given<"Resize">): OperatorCase {
  return of("Resize", title, { X }, (g, { X }) => g.Resize(X, null, null, g.int64(sizes), attributes));
}

const nearestModes = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];
const coordinateModes = [
  "half_pixel",
  "half_pixel_symmetric",
  "pytorch_half_pixel",
  "align_corners",
  "asymmetric",
];

/** Cases of operators that read pictures between their pixels. */
export const samplingCases: readonly OperatorCase[] = [
  ...nearestModes.map((nearest_mode) =>
    scaled(`nearest, ${nearest_mode}`, pictures(), [1, 1, 1.7, 0.6], { nearest_mode }),
  ),
  scaled("nearest, 2 times a symbolic size", normal(["batch", 2, "height", "width"]), [1, 1, 2, 2], {
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  }),
  scaled("nearest, repeated", pictures(), [1, 1, 3, 2], { nearest_mode: "round_prefer_ceil" }),
  sized("nearest, repeated along an axis", pictures(), [10], { axes: [2] }),
  scaled("nearest, 3 times and rounded otherwise", pictures(), [1, 1, 3, 2], {
    coordinate_transformation_mode: "asymmetric",
  }),
  scaled("nearest, every axis", normal([2, 2, 3]), [2, 1.5, 0.7], { mode: "nearest" }),
  ...coordinateModes.flatMap((coordinate_transformation_mode) => [
    scaled(`linear, ${coordinate_transformation_mode}`, pictures(), [1, 1, 1.7, 0.6], {
      mode: "linear",
      coordinate_transformation_mode,
    }),
    sized(`linear to sizes, ${coordinate_transformation_mode}`, picture(), [2, 2, 3, 9], {
      mode: "linear",
      coordinate_transformation_mode,
    }),
  ]),
  scaled("linear, 2 times a symbolic size", normal(["batch", 2, "height", "width"]), [1, 1, 2, 2], {
    mode: "linear",
  }),
  scaled(
    "linear, of a region",
    picture(),
    [1, 1, 1.5, 2],
    { mode: "linear", coordinate_transformation_mode: "tf_crop_and_resize", extrapolation_value: 3 },
    [0, 0, 0.2, -0.4, 1, 1, 0.9, 1.3],
  ),
  scaled("linear, three axes", normal([1, 2, 2, 3, 4]), [1, 1, 2, 1.5, 2], { mode: "linear" }),
  scaled("linear, two axes", normal([3, 4]), [2, 1.5], { mode: "linear" }),
  ...[0, 1].flatMap((antialias) => [
    scaled(`linear, antialias ${antialias}`, picture(), [1, 1, 0.5, 0.7], { mode: "linear", antialias }),
    scaled(`cubic, antialias ${antialias}`, picture(), [1, 1, 0.5, 0.7], { mode: "cubic", antialias }),
  ]),
  scaled("cubic, enlarged", pictures(), [1, 1, 2, 1.6], { mode: "cubic", cubic_coeff_a: -0.5 }),
  scaled("cubic, exclude_outside", picture(), [1, 1, 2, 1.6], { mode: "cubic", exclude_outside: 1 }),
  ...["not_larger", "not_smaller"].map((keep_aspect_ratio_policy) =>
    sized(`linear, ${keep_aspect_ratio_policy}`, picture(), [7, 6], {
      mode: "linear",
      axes: [2, 3],
      keep_aspect_ratio_policy,
    }),
  ),
  sized("nearest, given axes", pictures(), [7, 6], { axes: [3, 2] }),
];
