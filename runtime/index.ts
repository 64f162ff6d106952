/** The runtime: devices, sessions, data sets, evaluation, and what steps are fed. */
export * from "./data/batches.ts";
export * from "./data/dataset.ts";
export * from "./device/devices.ts";
export * from "./inference/calibration.ts";
export * from "./inference/classifier.ts";
export * from "./inference/evaluation.ts";
export * from "./loop/schedule.ts";
export * from "./ort-training/ort-training-session.ts";
export * from "./replicas/replicated-session.ts";
export type { LoweredModels } from "./session/lowered-models.ts";
export type { Source, TrainingSources } from "./session/sources.ts";
export * from "./session/trainer.ts";
export * from "./session/training-session.ts";
