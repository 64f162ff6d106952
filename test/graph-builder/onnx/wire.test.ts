import onnxProto from "onnx-proto";
import { describe, expect, test } from "vitest";
import { encodeModel } from "../../../graph-builder/index.ts";
import { createModel } from "../../../graph-builder/ir.ts";
import { type Field, type MessageName, schema } from "../../../graph-builder/onnx/schema.ts";
import { decodeMessage, encodeMessage, UnknownFieldError } from "../../../graph-builder/onnx/wire.ts";
import { trainingModel } from "../../../shakenet/index.ts";
import { tinySettings } from "../../support/tiny-run.ts";

const { onnx } = onnxProto;

const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes);

describe("writing", () => {
  test("repeated numbers are written one by one, as in proto2, but those that ONNX packs", () => {
    expect([...encodeMessage("TensorProto", { dims: [2, 300] })]).toEqual([8, 2, 8, 0xac, 2]);
    expect([...encodeMessage("AttributeProto", { ints: [1, 3] })]).toEqual([64, 1, 64, 3]);
    expect([...encodeMessage("AttributeProto", { floats: [1, 2] })]).toEqual([
      61, 0, 0, 0x80, 0x3f, 61, 0, 0, 0, 0x40,
    ]);
    expect([...encodeMessage("TensorProto", { int32Data: [1, 2] })]).toEqual([42, 2, 1, 2]);
  });

  test("an independent reader reads what is written", () => {
    const bytes = encodeModel(createModel(trainingModel(tinySettings()).graph));
    const options = { longs: Number, bytes: Array };
    const theirs = onnx.ModelProto.decode(bytes);
    const again = onnx.ModelProto.decode(encodeMessage("ModelProto", decodeMessage("ModelProto", bytes)));
    expect(onnx.ModelProto.toObject(again, options)).toEqual(onnx.ModelProto.toObject(theirs, options));
    expect(theirs.graph?.node?.length).toBeGreaterThan(100);
  });
});

describe("reading", () => {
  test("what an independent writer writes is read, packed or not", () => {
    const message = {
      name: "pads",
      type: onnx.AttributeProto.AttributeType.INTS,
      ints: [1, -2, 3],
      floats: [0.5, -1],
      s: bytesOf(1, 2),
      t: { dims: [2], dataType: 7, int64Data: [1, -1] },
    };
    const read = decodeMessage("AttributeProto", onnx.AttributeProto.encode(message).finish());
    expect(read).toEqual({ ...message, s: Buffer.from([1, 2]) });
    expect(encodeMessage("AttributeProto", read)).toEqual(encodeMessage("AttributeProto", message));
  });

  test.each([0, 1, -1, 127, 128, 2 ** 31, -(2 ** 40), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])(
    "the whole number %i comes back as a number",
    (i) => expect(decodeMessage("AttributeProto", encodeMessage("AttributeProto", { i })).i).toBe(i),
  );

  test.each([2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)])(
    "%s, which no number is exactly, comes back as a bigint",
    (i) => expect(decodeMessage("AttributeProto", encodeMessage("AttributeProto", { i })).i).toBe(i),
  );

  test("unsigned numbers of 64 bits keep their highest bit", () => {
    const uint64Data = [2n ** 64n - 1n, 5];
    const read = decodeMessage("TensorProto", encodeMessage("TensorProto", { uint64Data }));
    expect(read.uint64Data).toEqual(uint64Data);
  });

  test.each([
    ["a string that is cut off", [10, 5, 65]],
    ["a message that is cut off", [42, 5, 10]],
    ["a number that is cut off", [8, 0x80]],
    ["a field with the number 0", [1, 2, 3]],
    ["a group, which ONNX does not use", [0xb3, 6, 0xb4, 6]],
    ["a known field of another wire type", [13, 1, 2, 3, 4]],
    ["a list that ends inside a number", [58, 3, 0, 0, 0]],
  ])("%s is refused", (_, bytes) => {
    expect(() => decodeMessage("AttributeProto", Uint8Array.from(bytes))).toThrow();
  });
});

describe("fields that the schema does not have", () => {
  // number 100 as a number, as bytes, in 32 and in 64 bits
  const unknown = [
    [0xa0, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    [0xa2, 0x06, 2, 7, 8],
    [0xa5, 0x06, 1, 2, 3, 4],
    [0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
  ].flat();

  test("are written back as they were", () => {
    const bytes = Uint8Array.from([...encodeMessage("NodeProto", { opType: "Relu" }), ...unknown]);
    const read = decodeMessage("NodeProto", bytes);
    expect(read.unknownFields).toHaveLength(4);
    expect([...encodeMessage("NodeProto", read)]).toEqual([...bytes]);
  });

  test("are refused in the messages that are named", () => {
    const read = () => decodeMessage("NodeProto", Uint8Array.from(unknown), new Set(["NodeProto"]));
    expect(read).toThrow(UnknownFieldError);
    expect(read).toThrow("its NodeProto has the field 100, which is unknown");
  });
});

/** A value of a field, as onnx-proto takes it. */
function sampleOf({ type, repeated }: Field): unknown {
  const one = { string: "a", bytes: bytesOf(1) }[type] ?? (type in schema ? {} : 1);
  return repeated ? [one] : one;
}

test("a field that onnx-proto writes is read under its name", () => {
  let count = 0;
  for (const [name, fields] of Object.entries(schema)) {
    const theirs: unknown = Reflect.get(onnx, name);
    if (typeof theirs !== "function" || !("encode" in theirs) || typeof theirs.encode !== "function")
      continue;
    for (const [field, spec] of Object.entries<Field>(fields)) {
      if (!(field in theirs.prototype)) continue;
      const bytes = theirs.encode({ [field]: sampleOf(spec) }).finish();
      expect(Object.keys(decodeMessage(name as MessageName, bytes)), `${name}.${field}`).toEqual([field]);
      count++;
    }
  }
  expect(count).toBeGreaterThan(80);
});
