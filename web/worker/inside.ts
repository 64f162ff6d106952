import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { floatData } from "../../runtime/device/tensors.ts";
import {
  type ArtifactSettings,
  encodeInferenceModel,
  imageShape,
  STEM_FILTERS,
  trainedGraph,
} from "../../shakenet/index.ts";
import type { Inside, Maps } from "../calls/training.ts";
import { openDevice } from "./devices.ts";

/**
 * The first layer's filters of a checkpoint, and the outputs of both branches of each block for a picture
 * uint8 [3, 32, 32], as the network in training computes them.
 */
export async function insideOf(
  settings: ArtifactSettings,
  checkpoint: Checkpoint,
  image: Uint8Array,
): Promise<Inside> {
  let blocks = 0;
  const graph = trainedGraph(settings, checkpoint, {}, (g, branch1, branch2) => {
    blocks += 1;
    g.output(branch1, `block ${blocks}, branch 1`);
    g.output(branch2, `block ${blocks}, branch 2`);
  });
  const { ort, sessionOptions } = await openDevice("wasm");
  const session = await ort.InferenceSession.create(encodeInferenceModel(graph), sessionOptions);
  try {
    const images = new ort.Tensor("float32", Float32Array.from(image), [1, ...imageShape]);
    const { logits: _, ...outputs } = await session.run({ images });
    const maps = Object.entries(outputs).map(([name, tensor]): Maps => {
      const [, channels = 0, height = 0, width = 0] = tensor.dims;
      return { name, dims: [channels, height, width], values: floatData(tensor) };
    });
    return { filters: filtersIn(checkpoint), maps };
  } finally {
    await session.release();
  }
}

function filtersIn(checkpoint: Checkpoint): Inside["filters"] {
  const filters = checkpoint.trainable.get(STEM_FILTERS);
  if (!filters || !(filters.data instanceof Float32Array))
    throw new UserError(`The checkpoint has no ${STEM_FILTERS}.`, { code: "artifacts-mismatch" });
  return { count: Number(filters.dims[0]), side: Number(filters.dims[3]), values: filters.data };
}
