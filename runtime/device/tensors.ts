import type * as Ort from "onnxruntime-common";
import { isNumeric, type NumericType, Tensor, type TensorData } from "../../graph-builder/tensor.ts";
import type { DataType } from "../../graph-builder/types.ts";

const ortTypes: Readonly<Partial<Record<DataType, Ort.Tensor.Type>>> = {
  float: "float32",
  double: "float64",
};

/** A constant as ONNX Runtime's tensor, over a copy of its data: ONNX Runtime may write into what it is fed. */
export function toOrtTensor({ elemType, data, dims }: Tensor, ort: Pick<typeof Ort, "Tensor">): Ort.Tensor {
  return new ort.Tensor((ortTypes[elemType] ?? elemType) as "float32", data.slice() as Float32Array, dims);
}

/** ONNX Runtime's tensor as a constant over the same data. Throws TypeError for strings and for data on a GPU. */
export function fromOrtTensor({ type, data, dims }: Ort.Tensor): Tensor {
  const renamed = Object.entries(ortTypes).find(([, name]) => name === type)?.[0];
  const elemType = (renamed ?? type) as NumericType;
  if (!isNumeric(elemType)) throw new TypeError(`a ${type} tensor has no numbers`);
  return new Tensor(elemType, [...dims], data as TensorData);
}
