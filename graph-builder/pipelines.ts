import type { Graph } from "./ir.ts";
import { type Lowering, lower } from "./lowerings/lower.ts";
import { cancelReorders } from "./passes/cancel-reorders.ts";
import { mergeCommonSubexpressions } from "./passes/common-subexpressions.ts";
import { explicitState } from "./passes/explicit-state.ts";
import { fuseActivations } from "./passes/fuse-activations.ts";
import { foldBatchNormalization } from "./passes/inference/fold-batch-normalization.ts";
import { foldCrop } from "./passes/inference/fold-crop.ts";
import { foldScale } from "./passes/inference/fold-scale.ts";
import { joinConvolutions } from "./passes/inference/join-convolutions.ts";
import { mergeBranches } from "./passes/inference/merge-branches.ts";
import { type Precision, withPrecision } from "./passes/inference/precision.ts";
import { inlineFunctions } from "./passes/inline-functions.ts";
import { type Pass, runPasses } from "./passes/pass.ts";
import { removeDeadCode } from "./passes/remove-dead-code.ts";

/** The passes that lower a graph to the operators of a device and simplify the result. */
export function loweringPasses(lowering: Lowering): readonly Pass[] {
  return [
    lower(lowering),
    cancelReorders,
    removeDeadCode,
    fuseActivations,
    mergeCommonSubexpressions,
    removeDeadCode,
  ];
}

/**
 * The passes that prepare a training graph for a device: they inline functions, turn in-place updates into
 * outputs, and lower the graph to the operators of the device.
 */
export function trainingPasses(lowering: Lowering): readonly Pass[] {
  return [inlineFunctions, explicitState, ...loweringPasses(lowering)];
}

/**
 * The passes that simplify a trained graph for inference. They inline functions, and fold batch
 * normalisation, constant factors, crops and joined or added convolutions into filters. The filters are
 * folded in double precision and rounded once, to `precision`, in which the resulting graph computes.
 */
export function inferencePasses(precision: Precision): readonly Pass[] {
  return [
    inlineFunctions,
    withPrecision("double"),
    foldCrop,
    joinConvolutions,
    foldBatchNormalization,
    mergeBranches,
    foldScale,
    // again, for the convolutions whose outputs mergeBranches has joined by a Concat
    joinConvolutions,
    withPrecision(precision),
  ];
}

/**
 * Returns a new graph in which every operator of the lowering is replaced. Outputs, names and results stay.
 */
export function lowerGraph(graph: Graph, lowering: Lowering): Graph {
  return runPasses(graph, loweringPasses(lowering));
}

/** Returns a trained graph after `inferencePasses`, in single precision by default. */
export function simplifyForInference(graph: Graph, precision: Precision = "float"): Graph {
  return runPasses(graph, inferencePasses(precision));
}
