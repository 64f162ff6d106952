import type * as Ort from "onnxruntime-common";
import type { DeviceMemory } from "../device/device.ts";
import type { OnnxRuntime } from "../device/inference-device.ts";

const elemTypes = { float32: "float", float16: "float16", int32: "int32", int64: "int64" } as const;

/**
 * The GPU's memory in ONNX Runtime for Node. Outputs stay there and are fed again, but a program has no
 * access to it: getData of ONNX Runtime 1.30 ends the process. So a model of one Identity brings a tensor
 * back.
 */
export function gpuMemory(
  ort: OnnxRuntime,
  sessionOptions: Ort.InferenceSession.SessionOptions,
): DeviceMemory {
  const sessions = new Map<string, Promise<Ort.InferenceSession>>();
  const sessionFor = ({ type, dims }: Ort.Tensor) => {
    const key = `${type} ${dims.length}`;
    const opened =
      sessions.get(key) ??
      identity(type, dims.length).then((model) => ort.InferenceSession.create(model, sessionOptions));
    sessions.set(key, opened);
    return opened;
  };
  return {
    location: "gpu-buffer",
    take: async (tensor) => {
      const { taken } = await (await sessionFor(tensor)).run({ tensor });
      tensor.dispose();
      if (!taken) throw new Error("the model of one Identity has no output");
      return taken;
    },
  };
}

/** A model whose output is its input, of any sizes. */
async function identity(type: Ort.Tensor.Type, rank: number): Promise<Uint8Array> {
  const entry = Object.entries(elemTypes).find(([name]) => name === type);
  if (!entry) throw new TypeError(`a ${type} tensor is in no memory of a GPU`);
  // the compiler is loaded where it is needed
  const { createBuilder, createModel, encodeModel, Graph } = await import("../../graph-builder/index.ts");
  const g = createBuilder(new Graph("identity"));
  const shape = Array.from({ length: rank }, (_, axis) => `size${axis}`);
  g.output(g.Identity(g.input("tensor", entry[1], shape)), "taken");
  return encodeModel(createModel(g.graph));
}
