import { didYouMean, UserError } from "../../graph-builder/errors.ts";
import { shown } from "../../graph-builder/visible.ts";

/** The devices that a session can run on, by the names of ONNX Runtime's execution providers. */
export const deviceNames = ["cpu", "cuda", "webgpu", "coreml", "dml", "wasm"] as const;
export type DeviceName = (typeof deviceNames)[number];

/** Whether a name is a device's. */
export function isDeviceName(name: string): name is DeviceName {
  return deviceNames.some((device) => device === name);
}

/** Throws UserError, with the nearest name, for the name of no device. */
export function expectDevice(name: string): void {
  if (isDeviceName(name)) return;
  const hint = didYouMean(name, deviceNames);
  const given = typeof name === "string" ? name : shown(name);
  throw new UserError(`${given} is not a device: give ${deviceNames.join(", ")}.${hint}`, {
    code: "device-unknown",
    details: { device: name, known: deviceNames },
  });
}
