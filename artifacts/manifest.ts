import * as z from "zod/mini";
import { type Cost, UserError } from "../graph-builder/index.ts";
import { parseJson } from "./json.ts";

/**
 * `manifest.json`: the size and cost of the model in the files beside it. A network's own manifest adds its
 * settings.
 */
export interface Manifest {
  readonly format: 1;
  /** The number of trained values. */
  readonly parameters: number;
  /** The cost of one example. */
  readonly cost: Cost;
  /** The SHA-256 of each model beside it, hexadecimal, by the file's name. A folder's manifest has it. */
  readonly files?: Readonly<Record<string, string>> | undefined;
}

/** Training artifacts: the bytes of ONNX Runtime's files and of the source model, and their manifest. */
export interface TrainingArtifacts<M extends Manifest = Manifest> {
  readonly trainingModel: Uint8Array;
  readonly evalModel: Uint8Array;
  /** None where the training model is fused. */
  readonly optimizerModel?: Uint8Array | undefined;
  /**
   * The file that the model came from, without the weights that are in the checkpoint; none where the model
   * came from no file.
   */
  readonly sourceModel?: Uint8Array | undefined;
  /** A chunk of training steps as one model; none where it was not asked for. */
  readonly epochModel?: Uint8Array | undefined;
  /** A model whose outputs are the state that the first chunk is fed; none without `epochModel`. */
  readonly initialState?: Uint8Array | undefined;
  readonly checkpoint: Uint8Array;
  readonly manifest: M;
}

/** The names of the artifacts' files; `source.onnx`, `epoch_model.onnx` and `initial_state.onnx` are ours. */
export const artifactFiles = {
  trainingModel: "training_model.onnx",
  evalModel: "eval_model.onnx",
  optimizerModel: "optimizer_model.onnx",
  sourceModel: "source.onnx",
  epochModel: "epoch_model.onnx",
  initialState: "initial_state.onnx",
  checkpoint: "checkpoint",
} as const;

/** The bytes of the files; a fused training model has no optimizer model beside it. */
export type ArtifactBytes = Omit<TrainingArtifacts, "manifest">;

/** The bytes of the models alone. */
export type ModelBytes = Omit<ArtifactBytes, "checkpoint">;

/** What every manifest has; a network's own has more. */
const manifestSchema = z.looseObject({
  format: z.literal(1),
  parameters: z.int().check(z.minimum(0)),
  cost: z.object({
    forwardFlops: z.number(),
    backwardFlops: z.number(),
    activationBytes: z.number(),
  }),
  files: z.optional(z.record(z.string(), z.string())),
});

/**
 * Reads the text of a `manifest.json`; `isComplete` tells whether it has all fields of its network's
 * manifest, and may throw UserError where one is wrong.
 * Throws UserError, naming the file and the field, where it is not a manifest.
 */
export function parseManifest<M extends Manifest>(
  text: string,
  path: string,
  isComplete: (manifest: Manifest, path: string) => manifest is M,
): M {
  const manifest: Manifest = parseJson(manifestSchema, text, { where: path, code: "manifest-damaged" });
  if (isComplete(manifest, path)) return manifest;
  throw new UserError(
    `${path} is not a manifest of such artifacts: write them again with shake build-graph.`,
    {
      code: "manifest-damaged",
      details: { path },
    },
  );
}
