import { expect, test } from "vitest";
import { onnx } from "../../../graph-builder/onnx/wire.ts";

test("repeated numbers are written one by one, as in proto2", () => {
  const { AttributeProto, TensorProto } = onnx;
  expect([...TensorProto.encode({ dims: [2, 300] }).finish()]).toEqual([8, 2, 8, 0xac, 2]);
  expect([...AttributeProto.encode({ ints: [1, 3] }).finish()]).toEqual([64, 1, 64, 3]);
  expect([...AttributeProto.encode({ floats: [1, 2] }).finish()]).toEqual([
    61, 0, 0, 0x80, 0x3f, 61, 0, 0, 0, 0x40,
  ]);
});

test("a message keeps its other fields, and reads as it was", () => {
  const attribute = { name: "pads", type: onnx.AttributeProto.AttributeType.INTS, ints: [1, 2, 3] };
  const decoded = onnx.AttributeProto.decode(onnx.AttributeProto.encode(attribute).finish());
  expect(onnx.AttributeProto.toObject(decoded, { longs: Number })).toEqual(attribute);
});
