import { at } from "../at.ts";
import { dataTypeNumbers, dataTypeOf } from "../operators/elementwise.ts";
import { unsupported } from "../operators/inference.ts";
import { allocate, dataFromBytes, isNumeric, isOpaque, Tensor } from "../tensor.ts";
import type { Message } from "./schema.ts";

/** A tensor as ONNX's message, its elements as bytes. */
export function encodeTensor(tensor: Tensor, name: string): Message<"TensorProto"> {
  const { elemType, dims } = tensor;
  return { name, dataType: dataTypeNumbers[elemType], dims: [...dims], rawData: bytesOf(tensor) };
}

function bytesOf({ data: { buffer, byteOffset, byteLength } }: Tensor): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Whether a Tensor can hold the elements of a message. */
export function isHeld({ dataType = 0, segment }: Message<"TensorProto">): boolean {
  return isNumeric(dataTypeOf(dataType)) && !segment;
}

/**
 * The tensor in a message; `name` is for errors. Throws UnsupportedError for what a Tensor does not hold,
 * such as strings, and RangeError where the elements do not fill the shape.
 */
export function decodeTensor(proto: Message<"TensorProto">, name: string): Tensor {
  const elemType = dataTypeOf(proto.dataType ?? 0);
  if (!isNumeric(elemType))
    return unsupported(`tensor ${name} is of type ${elemType}, which is not supported`);
  if (proto.segment) return unsupported(`tensor ${name} is one segment of a tensor, which is not supported`);
  const dims = (proto.dims ?? []).map(Number);
  const { rawData } = proto;
  if (rawData && rawData.length > 0) {
    if (rawData.length % allocate(elemType, 0).BYTES_PER_ELEMENT !== 0)
      throw damaged(name, `its ${rawData.length} bytes are no whole number of elements`);
    return named(name, () => new Tensor(elemType, dims, dataFromBytes(elemType, rawData)));
  }
  const fields = [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data];
  const list = fields.find((field) => field && field.length > 0) ?? [];
  const data = allocate(elemType, list.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [i, element] of list.entries()) data[i] = isBig ? BigInt(element) : Number(element);
  return named(name, () => new Tensor(elemType, dims, data));
}

/** What `make` makes; its RangeError names the tensor. */
function named(name: string, make: () => Tensor): Tensor {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw damaged(name, error.message, error);
  }
}

function damaged(name: string, reason: string, cause?: RangeError): RangeError {
  return new RangeError(`the tensor ${name} is damaged: ${reason}`, { cause });
}

/** A dense tensor of more bytes fits into no file. */
const LARGEST_TENSOR = 2 ** 31;

/**
 * A sparse tensor with all of its elements. Its indices are positions in row-major order, or one row of
 * coordinates for each value. Throws RangeError for an index outside of the shape.
 */
export function decodeSparseTensor(proto: Message<"SparseTensorProto">, name: string): Tensor {
  const values = decodeTensor(proto.values ?? {}, name);
  const indices = decodeTensor(proto.indices ?? {}, `${name}'s indices`);
  if (isOpaque(values.elemType))
    return unsupported(`the sparse tensor ${name} is of type ${values.elemType}`);
  const dims = (proto.dims ?? []).map(Number);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const size = values.data.BYTES_PER_ELEMENT;
  if (!(count * size <= LARGEST_TENSOR))
    throw new RangeError(`the sparse tensor ${name} has ${count} elements, which take more than 2 GiB`);
  const [from, bytes] = [bytesOf(values), new Uint8Array(count * size)];
  const [rows = 0, width = 0] = indices.dims;
  const numbers = indices.numbers();
  for (let row = 0; row < rows; row++) {
    const place =
      indices.dims.length === 1
        ? at(numbers, row)
        : dims.reduce((flat, dim, axis) => flat * dim + at(numbers, row * width + axis), 0);
    if (place < 0 || place >= count)
      throw new RangeError(`the sparse tensor ${name} has no element ${place}`);
    bytes.set(from.subarray(row * size, (row + 1) * size), place * size);
  }
  return new Tensor(values.elemType, dims, dataFromBytes(values.elemType, bytes));
}
