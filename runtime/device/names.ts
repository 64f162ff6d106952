/** The devices that a session can run on, by the names of ONNX Runtime's execution providers. */
export const deviceNames = ["cpu", "cuda", "webgpu", "coreml", "dml", "wasm"] as const;
export type DeviceName = (typeof deviceNames)[number];

/** Whether a name is a device's. */
export function isDeviceName(name: string): name is DeviceName {
  return deviceNames.some((device) => device === name);
}
