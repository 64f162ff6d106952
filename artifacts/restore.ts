import { withElements } from "../graph-builder/index.ts";
import { type AdaptedWeights, mergedTensors } from "./adapters.ts";
import { averagedCheckpoint } from "./averages.ts";
import { expectBytes, expectCheckpoint } from "./given-values.ts";

/**
 * The file that a model came from, with the tensors of a checkpoint, or their averages, as its weights: the
 * same inputs, outputs, opset, names and metadata. The changes of low-rank adapters are added to the weights.
 * `source` is the artifacts' `source.onnx`. Throws UserError where the checkpoint lacks a tensor, or has it
 * in another shape.
 */
export function restoreModel(source: Uint8Array, checkpoint: AdaptedWeights): Uint8Array {
  expectBytes("source", "The source of restoreModel", source);
  expectCheckpoint("restoreModel", checkpoint);
  const averaged = averagedCheckpoint({ properties: new Map(), ...checkpoint });
  return withElements(source, mergedTensors(averaged), "source.onnx");
}
