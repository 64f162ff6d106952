import type { Given } from "../../graph-builder/builder.ts";
import { floats, int64s } from "../../graph-builder/index.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { integers, normal } from "./random-tensor.ts";

/**
 * Corners (x1, y1, x2, y2): inside of the picture, across its border, smaller than an element, at its end.
 */
const corners = [
  ...[0.37, 0.57, 4.83, 5.29],
  ...[-1.31, 2.13, 3.47, 9.77],
  ...[2.71, 1.19, 2.93, 1.58],
  ...[3.3, 4.4, 5.9, 6.7],
];
const pictures = [2, 0, 1, 0];
const size = { output_height: 2, output_width: 3 };

const inputs = {
  X: normal(["batch", 2, "height", "width"]),
  rois: { shape: ["steps", 4], tensor: floats(corners, [4, 4]) },
  batches: integers(pictures, ["steps"]),
};

const settings = ["avg", "max"].flatMap((mode) =>
  ["half_pixel", "output_half_pixel"].flatMap((coordinate_transformation_mode) =>
    [0, 2].map((sampling_ratio) => ({ mode, coordinate_transformation_mode, sampling_ratio })),
  ),
);

function titleOf(given: Given<"RoiAlign">): string {
  return Object.values(given).join(", ");
}

/** Cases of RoiAlign: gradients of the pictures and of the corners of the regions. */
export const roiCases: readonly OperatorCase[] = [
  ...settings.map((given) =>
    of(
      "RoiAlign",
      titleOf(given),
      inputs,
      (g, { X, rois, batches }) => g.RoiAlign(X, rois, batches, { ...size, ...given }),
      { step: 2 ** -11, tolerance: 2e-2 },
    ),
  ),
  of(
    "RoiAlign",
    "corners in another scale",
    inputs,
    (g, { X, rois, batches }) =>
      g.RoiAlign(X, g.Mul(rois, g.float(4)), batches, { ...size, spatial_scale: 0.25 }),
    { step: 2 ** -11, tolerance: 2e-2 },
  ),
  of(
    "RoiAlign",
    "regions without samples among others",
    {
      ...inputs,
      rois: { shape: ["steps", 4], tensor: floats([...corners.slice(0, 12), 4, 5, 4, 3], [4, 4]) },
    },
    (g, { X, rois, batches }) => [
      g.RoiAlign(X, rois, batches, size),
      g.RoiAlign(X, rois, batches, { ...size, mode: "max" }),
    ],
    { targets: ["X"], step: 2 ** -11, tolerance: 2e-2 },
  ),
];

/** RoiAlign in the forms of files. */
export const roiNodes: readonly LayerNode[] = [
  ...settings.map(({ mode, coordinate_transformation_mode: coordinates, sampling_ratio }) => {
    const isOld = coordinates === "output_half_pixel";
    return layer(
      "RoiAlign",
      isOld ? 10 : 16,
      `${mode}, sampling_ratio ${sampling_ratio}`,
      [
        ["X", normal(["batch", 2, 7, 6])],
        ["rois", floats(corners, [4, 4])],
        ["batches", int64s(pictures)],
      ],
      {
        mode: ["string", mode],
        output_height: ["int", 2],
        output_width: ["int", 3],
        sampling_ratio: ["int", sampling_ratio],
        spatial_scale: ["float", 0.9],
      },
      { step: 2 ** -11, tolerance: 2e-2 },
    );
  }),
  layer(
    "RoiAlign",
    16,
    "output_half_pixel",
    [
      ["X", normal(["batch", 2, 7, 6])],
      ["rois", floats(corners, [4, 4])],
      ["batches", int64s(pictures)],
    ],
    { coordinate_transformation_mode: ["string", "output_half_pixel"], sampling_ratio: ["int", 1] },
  ),
];
