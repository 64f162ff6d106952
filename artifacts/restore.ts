import { withElements } from "../graph-builder/index.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * The file that a model came from, with the tensors of a checkpoint as its weights: the same inputs, outputs,
 * opset, names and metadata. `source` is the artifacts' `source.onnx`. Throws UserError where the checkpoint
 * lacks a tensor, or has it in another shape.
 */
export function restoreModel(
  source: Uint8Array,
  { trainable, frozen }: Pick<Checkpoint, "trainable" | "frozen">,
): Uint8Array {
  return withElements(source, new Map([...trainable, ...frozen]), "source.onnx");
}
