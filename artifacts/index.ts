/** The files: ONNX Runtime's training artifacts and its checkpoint. */
export {
  type AdaptedWeights,
  type Adapters,
  adaptersOf,
  applyAdapters,
  type LoraOptions,
} from "./adapters.ts";
export * from "./averages.ts";
export * from "./checkpoint.ts";
export {
  type CoverageOptions,
  type CoveredOutput,
  type CoveredParameter,
  type Obstacle,
  type TrainingCoverage,
  trainingCoverage,
} from "./coverage.ts";
export { type EpochModels, epochModels } from "./epoch-model.ts";
export * from "./generate.ts";
export type { GenerateOptions } from "./generate-options.ts";
export * from "./initial-checkpoint.ts";
export { isCheckpoint } from "./is-checkpoint.ts";
export { type JsonSource, parseJson, parseValue } from "./json.ts";
export * from "./losses.ts";
export * from "./manifest.ts";
export {
  floatConstants,
  headOf,
  type ModelParameter,
  type NamedConstant,
  type ParameterLayer,
  parametersOf,
} from "./model-parameters.ts";
export { type OtherConstant, otherConstants } from "./other-constants.ts";
export * from "./parameters.ts";
export { countIn } from "./properties.ts";
export { type RandomState, randomStateOf, setRandomSeed } from "./random-state.ts";
export { readFileBytes } from "./read-file.ts";
export * from "./restore.ts";
export * from "./settings.ts";
export { type ChosenParameters, chooseTrainable, type Trainable } from "./trainable.ts";
export { type TrainingGraphs, type TrainingPlan, trainingGraphs } from "./training-graphs.ts";
export type { Warning } from "./warnings.ts";
