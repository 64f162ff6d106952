import { tensorType } from "../types.ts";
import { dimAt, mayEqual, refuse } from "./inference.ts";
import { resizedShape } from "./resizing.ts";
import { attribute, operator, optional } from "./schema.ts";

const gridModes: ReadonlySet<string> = new Set(["nearest", "linear", "cubic"]);
const paddingModes: ReadonlySet<string> = new Set(["zeros", "border", "reflection"]);

const roiModes: ReadonlySet<string> = new Set(["avg", "max"]);
const roiCoordinates: ReadonlySet<string> = new Set(["half_pixel", "output_half_pixel"]);

/** Operators that read pictures between their pixels. */
export const sampling = {
  Resize: operator({
    since: (attributes) => {
      if (attributes.coordinate_transformation_mode === "half_pixel_symmetric") return 19;
      const { antialias, axes, keep_aspect_ratio_policy: policy } = attributes;
      return antialias || axes || policy !== "stretch" ? 18 : 11;
    },
    inputs: ["X", "roi?", "scales?", "sizes?"],
    outputs: ["Y"],
    attributes: {
      antialias: attribute("int", 0),
      axes: optional("ints"),
      coordinate_transformation_mode: attribute("string", "half_pixel"),
      cubic_coeff_a: attribute("float", -0.75),
      exclude_outside: attribute("int", 0),
      extrapolation_value: attribute("float", 0),
      keep_aspect_ratio_policy: attribute("string", "stretch"),
      mode: attribute("string", "nearest"),
      nearest_mode: attribute("string", "round_prefer_floor"),
    },
    infer: ([X, , scales = null, sizes = null], attributes) => [
      tensorType(X.elemType, resizedShape({ X, scales, sizes, attributes })),
    ],
  }),
  GridSample: operator({
    since: (_, inputs) => (inputs[0]?.shape.length === 4 ? 16 : 20),
    inputs: ["X", "grid"],
    outputs: ["Y"],
    attributes: {
      align_corners: attribute("int", 0),
      mode: attribute("string", "linear"),
      padding_mode: attribute("string", "zeros"),
    },
    infer: ([X, grid], { mode, padding_mode }) => {
      const [rank, last] = [X.shape.length, grid.shape.length - 1];
      if (!gridModes.has(mode)) refuse(`mode ${mode} is not known`);
      if (!paddingModes.has(padding_mode)) refuse(`padding_mode ${padding_mode} is not known`);
      if (rank < 3 || last !== rank - 1 || !mayEqual(dimAt(grid.shape, last), rank - 2))
        refuse(`a grid [${grid.shape.join(", ")}] does not fit pictures [${X.shape.join(", ")}]`);
      return [tensorType(X.elemType, [...X.shape.slice(0, 2), ...grid.shape.slice(1, -1)])];
    },
  }),
  RoiAlign: operator({
    since: ({ coordinate_transformation_mode: mode }) => (mode === "half_pixel" ? 16 : 10),
    inputs: ["X", "rois", "batch_indices"],
    outputs: ["Y"],
    attributes: {
      coordinate_transformation_mode: attribute("string", "half_pixel"),
      mode: attribute("string", "avg"),
      output_height: attribute("int", 1),
      output_width: attribute("int", 1),
      sampling_ratio: attribute("int", 0),
      spatial_scale: attribute("float", 1),
    },
    infer: ([X, rois, batches], { mode, coordinate_transformation_mode: coordinates, ...size }) => {
      if (!roiModes.has(mode)) refuse(`mode ${mode} is not known`);
      if (!roiCoordinates.has(coordinates))
        refuse(`coordinate_transformation_mode ${coordinates} is not known`);
      if (X.shape.length !== 4) refuse(`needs pictures with 4 axes, not [${X.shape.join(", ")}]`);
      const [regions, columns] = [dimAt(rois.shape, 0), dimAt(rois.shape, 1)];
      if (!mayEqual(columns, 4) || !mayEqual(regions, dimAt(batches.shape, 0)))
        refuse(`regions [${rois.shape.join(", ")}] do not fit pictures [${batches.shape.join(", ")}]`);
      return [tensorType(X.elemType, [regions, dimAt(X.shape, 1), size.output_height, size.output_width])];
    },
  }),
};
