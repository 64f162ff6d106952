import {
  type Graph,
  type Lowering,
  type LoweringName,
  loweringOf,
  runPasses,
  trainingPasses,
} from "../../graph-builder/index.ts";

/**
 * The devices a session can run on, each an execution provider of ONNX Runtime, with the lowering that suits
 * it.
 */
const lowerings = {
  cpu: "cpu",
  cuda: "portable",
  webgpu: "portable",
  coreml: "portable",
  dml: "portable",
  wasm: "cpu",
} as const satisfies Readonly<Record<string, LoweringName>>;

export type DeviceName = keyof typeof lowerings;

export const deviceNames = Object.keys(lowerings).filter(isDeviceName);

/** Whether a name is a device's. */
export function isDeviceName(name: string): name is DeviceName {
  return Object.hasOwn(lowerings, name);
}

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
