import { averagedCheckpoint } from "../../artifacts/averages.ts";
import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import {
  createModel,
  encodeModel,
  freezeInputs,
  type Model,
  metadataBesideBindings,
  runPasses,
} from "../../graph-builder/index.ts";

/**
 * A model as a file, cut to some of its outputs and what they need, with the tensors of a checkpoint inside
 * it, or their averages where it has some: an eval model becomes a plain .onnx. The model's metadata stays,
 * without training bindings.
 */
export function freezeModel(
  model: Pick<Model, "graph" | "metadataProps">,
  checkpoint: Checkpoint,
  outputNames: readonly string[],
): Uint8Array {
  const { trainable, frozen } = averagedCheckpoint(checkpoint);
  const tensors = new Map([...trainable, ...frozen]);
  const graph = runPasses(model.graph, [freezeInputs(tensors, outputNames)]);
  return encodeModel(createModel(graph, { metadataProps: metadataBesideBindings(model) }));
}
