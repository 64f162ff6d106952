import { Tensor as OrtTensor } from "onnxruntime-common";
import { UserError } from "../../../graph-builder/index.ts";
import { dataTypeNumbers, dataTypeOf } from "../../../graph-builder/operators/elementwise.ts";
import { allocate, dataFromBytes, isNumeric, Tensor } from "../../../graph-builder/tensor.ts";
import { fromOrtTensor, toOrtTensor } from "../../device/tensors.ts";
import type { WasmModule } from "./wasm-module.ts";

/** ONNX Runtime's number for tensors in the module's own memory. */
const ON_CPU = 1;

/**
 * Copies tensors into the module, calls `use` with their handles, and frees them. Throws UserError for
 * strings and data on a GPU.
 */
export function withTensors<T>(
  wasm: WasmModule,
  tensors: readonly OrtTensor[],
  use: (handles: readonly number[]) => T,
): T {
  const handles: number[] = [];
  const pointers: number[] = [];
  try {
    for (const tensor of tensors) {
      const { elemType, dims, data } = numeric(tensor);
      const size = data.byteLength;
      const pointer = wasm.store(new Uint8Array(data.buffer, data.byteOffset, size));
      const shape = wasm.storeWords(dims);
      pointers.push(pointer, shape);
      const type = dataTypeNumbers[elemType];
      handles.push(wasm.create("_OrtCreateTensor", type, pointer, size, shape, dims.length, ON_CPU));
    }
    return use(handles);
  } finally {
    for (const handle of handles) wasm.call("_OrtReleaseTensor", handle);
    for (const pointer of pointers) wasm.free(pointer);
  }
}

/** A copy of a tensor in the module. Throws UserError for strings. */
export function readTensor(wasm: WasmModule, handle: number): OrtTensor {
  const [type = 0, data = 0, shape = 0, rank = 0] = wasm.words(4, (place) =>
    wasm.check("_OrtGetTensorData", handle, place(0), place(1), place(2), place(3)),
  );
  const dims = wasm.wordsAt(shape, rank);
  wasm.call("_OrtFree", shape);
  const elemType = dataTypeOf(type);
  if (!isNumeric(elemType))
    throw new UserError(`An output of type ${elemType} cannot be read.`, {
      code: "output-type",
      details: { type: elemType },
    });
  const count = dims.reduce((product, dim) => product * dim, 1);
  const bytes = wasm.bytes(data, count * allocate(elemType, 0).BYTES_PER_ELEMENT);
  return toOrtTensor(new Tensor(elemType, dims, dataFromBytes(elemType, bytes)), { Tensor: OrtTensor });
}

function numeric(tensor: OrtTensor): Tensor {
  try {
    return fromOrtTensor(tensor);
  } catch (error) {
    throw new UserError(`A ${tensor.type} tensor on ${tensor.location} cannot be fed.`, {
      cause: error,
      code: "input-type",
      details: { type: tensor.type, location: tensor.location },
    });
  }
}
