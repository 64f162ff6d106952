import { gridSample } from "../../expansions/grid-sample.ts";
import { roiAlign } from "../../expansions/roi-align.ts";
import type { sampling as operators } from "../../operators/sampling.ts";
import { throughExpansion } from "./expanded.ts";
import { resizeGradient } from "./resize.ts";
import type { Gradients } from "./rule.ts";

/** The gradients of operators that read pictures between their pixels. */
export const sampling: Gradients<typeof operators> = {
  Resize: (g, back) => [resizeGradient(g, back), null, null, null],
  GridSample: throughExpansion(gridSample),
  RoiAlign: throughExpansion(roiAlign),
};
