import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { createModel, encodeModel, freezeInputs, type Model } from "../../graph-builder/index.ts";

/**
 * A model as a file, cut to some of its outputs and what they need, with the tensors of a checkpoint inside
 * it: an eval model becomes a plain .onnx.
 */
export function freezeModel(
  { graph, metadataProps }: Model,
  { trainable, frozen }: Pick<Checkpoint, "trainable" | "frozen">,
  outputNames: readonly string[],
): Uint8Array {
  return encodeModel(
    createModel(freezeInputs(graph, new Map([...trainable, ...frozen]), outputNames), { metadataProps }),
  );
}
