import { tensorType } from "../types.ts";
import { resizedShape } from "./resizing.ts";
import { attribute, operator, optional } from "./schema.ts";

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
};
