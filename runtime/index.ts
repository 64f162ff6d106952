/**
 * The runtime: sessions, the training loop, data sets and evaluation. A browser page and Node can import it.
 */
export * from "./data/augmentation.ts";
export * from "./data/batches.ts";
export * from "./data/classification-task.ts";
export * from "./data/dataset.ts";
export type { EarlySize } from "./data/early-size.ts";
export type { Mixing } from "./data/mixing.ts";
export * from "./data/picture-input.ts";
export * from "./data/picture-task.ts";
export type { Pixels } from "./data/pixels.ts";
export * from "./data/statistics.ts";
export * from "./data/types.ts";
export * from "./device/device.ts";
export * from "./device/inference-device.ts";
export * from "./device/lowerings.ts";
export * from "./device/names.ts";
export * from "./inference/calibration.ts";
export * from "./inference/classifier.ts";
export * from "./inference/evaluation.ts";
export * from "./inference/freeze-model.ts";
export * from "./loop/averaging.ts";
export * from "./loop/diverged-error.ts";
export * from "./loop/events.ts";
export * from "./loop/schedule.ts";
export * from "./loop/task.ts";
export * from "./loop/train.ts";
export * from "./measure/pass-trace.ts";
export * from "./measure/peak.ts";
export * from "./session/chunked-session.ts";
export type { GraphInput } from "./session/feeds.ts";
export type { DecodedModel, DecodedModels, LoweredModel, LoweredModels } from "./session/lowered-models.ts";
export type { Source, TrainingSessionCreateOptions, TrainingSources } from "./session/sources.ts";
export * from "./session/trainer.ts";
export * from "./session/training-session.ts";
export type { AverageStep } from "./session/weight-averages.ts";
