import * as ort from "onnxruntime-common";
import { expect, test } from "vitest";
import { floats } from "../../../graph-builder/index.ts";
import type { DeviceMemory } from "../../../runtime/device/device.ts";
import { Slot } from "../../../runtime/session/slot.ts";

test("reads that overlap bring a tensor out of a device's memory once", async () => {
  const onDevice = Object.defineProperty(new ort.Tensor("float32", [2], [1]), "location", {
    value: "gpu-buffer",
  });
  const taken: ort.Tensor[] = [];
  const memory: DeviceMemory = {
    location: "gpu-buffer",
    take: async (tensor) => {
      taken.push(tensor);
      return new ort.Tensor("float32", [2], [1]);
    },
  };
  const slot = new Slot(floats([1]), { ort, memory });
  slot.replace(onDevice);
  const [one, other] = await Promise.all([slot.read(), slot.peek()]);
  expect([one.data, other.data]).toEqual([Float32Array.of(2), Float32Array.of(2)]);
  expect(taken).toEqual([onDevice]);
  expect((await slot.peek()).data).toEqual(Float32Array.of(2));
  expect(taken).toHaveLength(1);
});
