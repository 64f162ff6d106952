import type * as Ort from "onnxruntime-common";
import type { Lowering } from "../../graph-builder/index.ts";
import { deviceLowering } from "./lowerings.ts";
import { expectDevice } from "./names.ts";

/** The parts of ONNX Runtime's module that are used here. */
export type OnnxRuntime = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">;

/** An opened device: Node's come from `openDevice`, a browser's from `webDevice`. */
export interface Device {
  readonly name: string;
  readonly ort: OnnxRuntime;
  readonly sessionOptions: Ort.InferenceSession.SessionOptions;
  readonly lowering: Lowering;
  /** A clause for the user whose session cannot be opened on the device. */
  readonly advice: string;
}

const webAdvice = { wasm: "another browser may", webgpu: "wasm runs everywhere" } as const;

/**
 * A browser's device in the onnxruntime-web that the page has loaded; webgpu is in its builds for WebGPU
 * alone. Throws UserError for an unknown name.
 */
export function webDevice(ort: OnnxRuntime, name: "wasm" | "webgpu"): Device {
  expectDevice(name);
  return {
    name,
    ort,
    sessionOptions: { executionProviders: [name], logSeverityLevel: 3 },
    lowering: deviceLowering(name),
    advice: webAdvice[name],
  };
}
