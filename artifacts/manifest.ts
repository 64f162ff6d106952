import type { Cost } from "../graph-builder/index.ts";

/** `manifest.json`: what the files beside it were made from, and what they cost. A network's own manifest adds its settings. */
export interface Manifest {
  readonly format: 1;
  /** The number of trained values. */
  readonly parameters: number;
  /** For one example. */
  readonly cost: Cost;
}

/** ONNX Runtime's training artifacts: the bytes of the four files, and what they are. */
export interface TrainingArtifacts<M extends Manifest = Manifest> {
  readonly trainingModel: Uint8Array;
  readonly evalModel: Uint8Array;
  /** None where the training model is fused. */
  readonly optimizerModel?: Uint8Array | undefined;
  readonly checkpoint: Uint8Array;
  readonly manifest: M;
}
