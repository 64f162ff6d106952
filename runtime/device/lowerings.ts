import {
  type Graph,
  type Lowering,
  type LoweringName,
  loweringOf,
  runPasses,
  trainingPasses,
} from "../../graph-builder/index.ts";
import type { DeviceName } from "./names.ts";

/** The lowering that suits a device. */
const lowerings: Readonly<Record<DeviceName, LoweringName>> = {
  cpu: "cpu",
  cuda: "cuda",
  webgpu: "webgpu",
  coreml: "portable",
  dml: "portable",
  wasm: "cpu",
};

/**
 * The lowering for a device. `blockSize` is for the CPU: how many channels its kernels put side by side in
 * ONNX Runtime's blocked layout (16 with AVX-512, 8 with AVX2), left out where they have none.
 */
export function deviceLowering(name: DeviceName, blockSize?: number): Lowering {
  return loweringOf(lowerings[name], name === "cpu" ? blockSize : undefined);
}

/**
 * A graph as a session on that device runs it: every effect on state an output, in the operators that suit
 * the device.
 */
export function graphOnDevice(graph: Graph, name: DeviceName, blockSize?: number): Graph {
  return runPasses(graph, trainingPasses(deviceLowering(name, blockSize)));
}
