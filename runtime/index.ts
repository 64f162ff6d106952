/** The runtime: devices, sessions, data sets, and the training loop. */
export * from "./data/dataset.ts";
export * from "./devices.ts";
export * from "./evaluation.ts";
export * from "./training-loop.ts";
export * from "./training-session.ts";
