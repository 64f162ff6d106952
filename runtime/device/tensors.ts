import type * as Ort from "onnxruntime-common";
import {
  isNumeric,
  isOpaque,
  type NumericType,
  Tensor,
  type TensorData,
} from "../../graph-builder/tensor.ts";
import type { DataType } from "../../graph-builder/types.ts";

/** ONNX Runtime's name of an element type. Throws TypeError for a type whose elements are not read. */
export function ortType(elemType: DataType): Ort.Tensor.Type {
  if (isOpaque(elemType) || !(isNumeric(elemType) || elemType === "string")) {
    throw new TypeError(`${elemType} tensors are not fed to a session`);
  }
  if (elemType === "float") return "float32";
  return elemType === "double" ? "float64" : elemType;
}

function elemTypeOf(type: Ort.Tensor.Type): string {
  if (type === "float32") return "float";
  return type === "float64" ? "double" : type;
}

/**
 * Converts a constant to ONNX Runtime's tensor. The data are copied, because ONNX Runtime may write into its
 * inputs.
 */
export function toOrtTensor({ elemType, data, dims }: Tensor, ort: Pick<typeof Ort, "Tensor">): Ort.Tensor {
  return new ort.Tensor(ortType(elemType), data.slice(), dims);
}

/**
 * Converts ONNX Runtime's tensor to a constant that shares its data. Throws TypeError for strings and for
 * data on a GPU.
 */
export function fromOrtTensor({ type, data, dims }: Ort.Tensor): Tensor {
  const elemType = elemTypeOf(type) as NumericType;
  if (!isNumeric(elemType)) throw new TypeError(`a ${type} tensor has no numbers`);
  return new Tensor(elemType, [...dims], data as TensorData);
}

/** The numbers of a float tensor, shared with it. Throws TypeError where it has another type. */
export function floatData({ data }: Pick<Ort.Tensor | Tensor, "data">): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new TypeError("the tensor is not float");
}
