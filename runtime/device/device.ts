import type * as Ort from "onnxruntime-common";
import type { Lowering } from "../../graph-builder/index.ts";
import { type InferenceDevice, type OnnxRuntime, webInferenceDevice } from "./inference-device.ts";
import { deviceLowering } from "./lowerings.ts";
import { expectDevice } from "./names.ts";

/** Memory of a device's own, in which tensors stay from call to call. */
export interface DeviceMemory {
  readonly location: "gpu-buffer";
  /**
   * A copy of a tensor in that memory, which `dispose` frees; left out where a program has no access to that
   * memory.
   */
  upload?(tensor: Ort.Tensor): Promise<Ort.Tensor>;
  /** A tensor of that memory in JavaScript's memory; the other is freed. */
  take(tensor: Ort.Tensor): Promise<Ort.Tensor>;
}

/** An opened device: Node's come from `openDevice`, a browser's from `webDevice`. */
export interface Device extends InferenceDevice {
  readonly lowering: Lowering;
  /** The device's own memory; none where sessions compute in JavaScript's, or cannot leave tensors there. */
  readonly memory?: DeviceMemory | undefined;
  /**
   * Whether a session computes on the arrays that it is fed, and copies its outputs even where it has written
   * them into given ones (session/given-arrays.ts).
   */
  readonly copiesOutputs?: boolean | undefined;
  /** A clause for the user whose session cannot be opened on the device. */
  readonly advice: string;
}

/** A device that runs models which were lowered for it before. */
export type RuntimeDevice = Omit<Device, "lowering">;

const webAdvice = { wasm: "another browser may", webgpu: "wasm runs everywhere" } as const;

/**
 * A browser's device in the onnxruntime-web that the page has loaded; webgpu is in its builds for WebGPU
 * alone. Throws UserError for an unknown name.
 */
export function webDevice(ort: OnnxRuntime, name: "wasm" | "webgpu"): Device {
  expectDevice(name);
  return {
    ...webInferenceDevice(ort, name),
    lowering: deviceLowering(name),
    advice: webAdvice[name],
    ...(name === "webgpu" ? { memory: gpuMemory(ort) } : {}),
  };
}

/** WebGPU's GPUBufferUsage: COPY_SRC, COPY_DST and STORAGE. */
const BUFFER_USAGE = 0x04 | 0x08 | 0x80;

/** The buffers of the GPU that onnxruntime-web computes on. */
function gpuMemory(ort: OnnxRuntime): DeviceMemory {
  return {
    location: "gpu-buffer",
    take: async (tensor) => {
      await tensor.getData(true);
      return tensor;
    },
    upload: async ({ type, data, dims }) => {
      if (Array.isArray(data) || !isBufferType(type)) throw new TypeError(`a ${type} tensor is in no buffer`);
      const device = await ort.env.webgpu.device;
      const buffer = device.createBuffer({
        // ONNX Runtime binds whole multiples of 16 bytes
        size: Math.max(16, 16 * Math.ceil(data.byteLength / 16)),
        usage: BUFFER_USAGE,
        mappedAtCreation: true,
      });
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      new Uint8Array(buffer.getMappedRange()).set(bytes);
      buffer.unmap();
      return ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims, dispose: () => buffer.destroy() });
    },
  };
}

function isBufferType(type: Ort.Tensor.Type): type is Ort.Tensor.GpuBufferDataTypes {
  return type === "float32" || type === "float16" || type === "int32" || type === "int64" || type === "bool";
}
