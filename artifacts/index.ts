/** The files: ONNX Runtime's training artifacts and its checkpoint. */
export * from "./checkpoint.ts";
export * from "./initial-checkpoint.ts";
export * from "./manifest.ts";
export * from "./parameters.ts";
export { readFileBytes } from "./read-file.ts";
