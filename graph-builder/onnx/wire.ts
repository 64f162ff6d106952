import onnxProto from "onnx-proto";
import type { Writer } from "protobufjs";

/**
 * ONNX's messages, with repeated numbers written one by one: onnx.proto is of proto2, which packs none, and small readers such as
 * tinygrad's take no other.
 */
export const { onnx } = onnxProto;

// ids and wire types of AttributeProto.floats, AttributeProto.ints and TensorProto.dims
const tags = { floats: (7 << 3) | 5, ints: (8 << 3) | 0, dims: (1 << 3) | 0 };

const { AttributeProto, TensorProto } = onnx;
const encodeAttribute = AttributeProto.encode;
const encodeTensor = TensorProto.encode;

AttributeProto.encode = (message, writer): Writer => {
  const written = encodeAttribute({ ...message, floats: [], ints: [] }, writer);
  for (const value of message.floats ?? []) written.uint32(tags.floats).float(value);
  for (const value of message.ints ?? []) written.uint32(tags.ints).int64(value);
  return written;
};

TensorProto.encode = (message, writer): Writer => {
  const written = encodeTensor({ ...message, dims: [] }, writer);
  for (const value of message.dims ?? []) written.uint32(tags.dims).int64(value);
  return written;
};
