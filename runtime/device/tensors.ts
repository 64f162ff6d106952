import type * as Ort from "onnxruntime-common";
import { isNumeric, type NumericType, Tensor, type TensorData } from "../../graph-builder/tensor.ts";
import type { DataType } from "../../graph-builder/types.ts";

const ortTypes: Readonly<Partial<Record<DataType, Ort.Tensor.Type>>> = {
  float: "float32",
  double: "float64",
};

/**
 * Converts a constant to ONNX Runtime's tensor. The data are copied, because ONNX Runtime may write into its
 * inputs.
 */
export function toOrtTensor({ elemType, data, dims }: Tensor, ort: Pick<typeof Ort, "Tensor">): Ort.Tensor {
  return new ort.Tensor((ortTypes[elemType] ?? elemType) as "float32", data.slice() as Float32Array, dims);
}

/**
 * Converts ONNX Runtime's tensor to a constant that shares its data. Throws TypeError for strings and for
 * data on a GPU.
 */
export function fromOrtTensor({ type, data, dims }: Ort.Tensor): Tensor {
  const renamed = Object.entries(ortTypes).find(([, name]) => name === type)?.[0];
  const elemType = (renamed ?? type) as NumericType;
  if (!isNumeric(elemType)) throw new TypeError(`a ${type} tensor has no numbers`);
  return new Tensor(elemType, [...dims], data as TensorData);
}
