/** The files: ONNX Runtime's training artifacts, its checkpoint, and the inference model. */
export * from "./checkpoint.ts";
export * from "./files.ts";
export * from "./folder.ts";
export * from "./inference-form.ts";
export * from "./inference-model.ts";
export { initialCheckpoint, initialTensor } from "./initial-checkpoint.ts";
export * from "./settings.ts";
export * from "./training-artifacts.ts";
export { evaluationModel, type ParameterizedGraph, trainingModel } from "./training-model.ts";
