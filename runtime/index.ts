/** The runtime: devices, sessions, data sets, and the training loop with what it feeds. */
export * from "./batches.ts";
export * from "./calibration.ts";
export * from "./classifier.ts";
export * from "./data/dataset.ts";
export * from "./devices.ts";
export * from "./evaluation.ts";
export type { LoweredModels } from "./lowered-models.ts";
export * from "./ort-training/fusing.ts";
export * from "./ort-training/ort-training-session.ts";
export * from "./replicas.ts";
export * from "./schedule.ts";
export * from "./shake-noise.ts";
export type { Source, TrainingSources } from "./sources.ts";
export * from "./training-loop.ts";
export * from "./training-session.ts";
