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

/** Puts a graph into the operators of a device. */
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
 * Writes out the functions of a training graph, makes every effect on its state an output, and puts the graph
 * into the operators of a device.
 */
export function trainingPasses(lowering: Lowering): readonly Pass[] {
  return [inlineFunctions, explicitState, ...loweringPasses(lowering)];
}

/**
 * Makes a trained graph as simple as it can be for use: functions are written out, and batch normalisation,
 * constant factors, crops and joined or added convolutions are folded into filters. The folding is done in
 * double precision; the result computes in `precision`, to which every filter is rounded once.
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
    // the first convolutions of the branches that mergeBranches joined
    joinConvolutions,
    withPrecision(precision),
  ];
}

/** A new graph in which every operator of the lowering is replaced; outputs, names and results stay. */
export function lowerGraph(graph: Graph, lowering: Lowering): Graph {
  return runPasses(graph, loweringPasses(lowering));
}

/**
 * A trained graph as simple as it can be for use (`inferencePasses`), in single precision unless `precision`
 * says another.
 */
export function simplifyForInference(graph: Graph, precision: Precision = "float"): Graph {
  return runPasses(graph, inferencePasses(precision));
}
