import type { Graph } from "../../ir.ts";
import { foldBatchNormalization } from "./fold-batch-normalization.ts";
import { foldCrop } from "./fold-crop.ts";
import { foldScale } from "./fold-scale.ts";
import { joinConvolutions } from "./join-convolutions.ts";
import { mergeBranches } from "./merge-branches.ts";
import { type Precision, withPrecision } from "./precision.ts";

const passes = [
  foldCrop,
  joinConvolutions,
  foldBatchNormalization,
  mergeBranches,
  foldScale,
  // the branches' first convolutions, which mergeBranches joined
  joinConvolutions,
];

/**
 * A trained graph as simple as it can be for use: batch normalisation, constant factors, crops and joined or added convolutions are
 * folded into filters, in double precision; the result computes in `precision`, to which every filter is rounded once.
 */
export function simplifyForInference(graph: Graph, precision: Precision = "float"): Graph {
  const simple = passes.reduce((current, pass) => pass(current), withPrecision(graph, "double"));
  return withPrecision(simple, precision);
}
