/** A public architecture that PyTorch exports, and the inputs that it is trained with. */
interface Model {
  /** The sizes of an example: channels, height and width, or length and features. */
  readonly example: readonly number[];
  readonly batchSize: number;
  /**
   * AdamW's. It is so large that a missing update shows in the first three losses, and so small that a peer's
   * rounding does not.
   */
  readonly learningRate: number;
  readonly unit: "images" | "sequences";
}

/** The foreign models of a comparison. `peers/models_torch.py` has their layers. */
export const models = {
  resnet18: { example: [3, 64, 64], batchSize: 16, learningRate: 1e-5, unit: "images" },
  mobilenet_v2: { example: [3, 64, 64], batchSize: 16, learningRate: 1e-5, unit: "images" },
  encoder: { example: [64, 128], batchSize: 16, learningRate: 1e-4, unit: "sequences" },
  lstm: { example: [64, 128], batchSize: 32, learningRate: 1e-3, unit: "sequences" },
} as const satisfies Readonly<Record<string, Model>>;

export type ModelName = keyof typeof models;
export const modelNames = Object.keys(models) as readonly ModelName[];

/** Whether a model has a name. */
export function isModelName(name: string): name is ModelName {
  return Object.hasOwn(models, name);
}

/** The environment that exports the models, and trains them in PyTorch and in onnxruntime-training. */
export const MODEL_VENV = "onnxruntime-training";
