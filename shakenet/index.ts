/** ShakeNet: its network, its training artifacts, its task for the training loop, and its frozen form. */

export * from "./backward-rules.ts";
export { branchCorrelations } from "./branch-correlation.ts";
export * from "./class-names.ts";
export * from "./classifier.ts";
export * from "./evaluation-joining.ts";
export * from "./functions.ts";
export * from "./fusing.ts";
export * from "./inference-form.ts";
export * from "./inference-model.ts";
export * from "./network.ts";
export * from "./network-mode.ts";
export * from "./paper-settings.ts";
export * from "./provenance.ts";
export * from "./regularization.ts";
export * from "./settings.ts";
export * from "./shake-drop.ts";
export * from "./shake-noise.ts";
export * from "./shake-schedule.ts";
export * from "./task.ts";
export * from "./training-artifacts.ts";
export {
  evaluationModel,
  type ParameterizedGraph,
  type ShakeNetForm,
  shakeNetForm,
  shakeNetTraining,
  trainingModel,
} from "./training-graph.ts";
export * from "./training-joining.ts";
export * from "./whitening.ts";
