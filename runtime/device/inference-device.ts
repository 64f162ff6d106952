import type * as Ort from "onnxruntime-common";

/** The parts of ONNX Runtime's module that are used here. */
export type OnnxRuntime = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">;

/** What a frozen model needs of a device. */
export interface InferenceDevice {
  readonly name: string;
  readonly ort: OnnxRuntime;
  readonly sessionOptions: Ort.InferenceSession.SessionOptions;
}

/** A browser's device for frozen models alone, which needs no lowering. */
export function webInferenceDevice(ort: OnnxRuntime, name: "wasm" | "webgpu"): InferenceDevice {
  return { name, ort, sessionOptions: { executionProviders: [name], logSeverityLevel: 3 } };
}
