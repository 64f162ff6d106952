import onnxProto from "onnx-proto";
import { dataTypeNumbers, dataTypeOf } from "../operators/elementwise.ts";
import { allocate, dataFromBytes, isNumeric, Tensor } from "../tensor.ts";
import type { Message } from "./schema.ts";

const { DataLocation } = onnxProto.onnx.TensorProto;

/** A tensor as ONNX's message, its elements as bytes. */
export function encodeTensor(tensor: Tensor, name: string): Message<"TensorProto"> {
  const { buffer, byteOffset, byteLength } = tensor.data;
  const rawData = new Uint8Array(buffer, byteOffset, byteLength);
  return { name, dataType: dataTypeNumbers[tensor.elemType], dims: [...tensor.dims], rawData };
}

/**
 * The tensor in a message; `name` is for errors. Throws Error for what a Tensor does not hold: strings,
 * complex numbers, another file.
 */
export function decodeTensor(proto: Message<"TensorProto">, name: string): Tensor {
  const elemType = dataTypeOf(proto.dataType ?? 0);
  if (!isNumeric(elemType)) throw new Error(`tensor ${name} is of type ${elemType}, which is not supported`);
  if (proto.dataLocation === DataLocation.EXTERNAL) {
    throw new Error(`tensor ${name} lies in another file, which is not supported`);
  }
  if (proto.segment) throw new Error(`tensor ${name} is one segment of a tensor, which is not supported`);
  const dims = (proto.dims ?? []).map(Number);
  if (proto.rawData && proto.rawData.length > 0) {
    return new Tensor(elemType, dims, dataFromBytes(elemType, proto.rawData));
  }
  const fields = [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data];
  const list = fields.find((field) => field && field.length > 0) ?? [];
  const data = allocate(elemType, list.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [i, element] of list.entries()) data[i] = isBig ? BigInt(element) : Number(element);
  return new Tensor(elemType, dims, data);
}
