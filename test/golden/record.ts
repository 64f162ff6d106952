import { createHash } from "node:crypto";
import onnxProto from "onnx-proto";
import protobuf from "protobufjs/minimal.js";

/** One line of a golden record. */
export interface Entry {
  /** The line that is kept. */
  readonly line: string;
  /** The part of the file in full, to print where the line is not the expected one. */
  readonly explain?: () => string;
}

/**
 * The golden record of an emitted file: SHA-256 and length, then a line for each part. A part of an .onnx
 * file is an entry of its protobuf messages, a part of a text file is a line of the text, a part of another
 * file is a piece of 4096 bytes.
 */
export function recordOf(name: string, bytes: Uint8Array): Entry[] {
  const digest = createHash("sha256").update(bytes).digest("hex");
  return [{ line: `file ${name} ${bytes.length} bytes sha256 ${digest}` }, ...partsOf(name, bytes)];
}

function partsOf(name: string, bytes: Uint8Array): Entry[] {
  if (name.endsWith(".onnx")) return modelEntries(bytes);
  if (name.endsWith(".json"))
    return textOf(bytes)
      .split("\n")
      .map((line) => ({ line }));
  const starts = Array.from({ length: Math.ceil(bytes.length / 4096) }, (_, i) => 4096 * i);
  return starts.map((start) => ({
    line: `bytes from ${start} ${hash(bytes.subarray(start, start + 4096))}`,
  }));
}

// The fields of onnx.proto3 by their numbers. A field that is not here is recorded under its number.
const modelFields = new Map([
  [1, "ir_version"],
  [2, "producer_name"],
  [3, "producer_version"],
  [4, "domain"],
  [5, "model_version"],
  [6, "doc_string"],
  [7, "graph"],
  [8, "opset_import"],
  [14, "metadata_props"],
  [25, "functions"],
]);
const graphFields = new Map([
  [1, "node"],
  [2, "name"],
  [5, "initializer"],
  [10, "doc_string"],
  [11, "input"],
  [12, "output"],
  [13, "value_info"],
]);
const functionFields = new Map([
  [1, "name"],
  [4, "input"],
  [5, "output"],
  [7, "node"],
  [9, "opset_import"],
  [10, "domain"],
]);

function modelEntries(bytes: Uint8Array): Entry[] {
  return fieldsOf(bytes, modelFields).flatMap((field) => {
    if (field.name === "graph") return graphEntries(field.bytes);
    if (field.name === "functions") return functionEntries(field.bytes);
    return [{ line: `${field.name} ${stringsOf(field)}` }];
  });
}

function graphEntries(bytes: Uint8Array): Entry[] {
  return fieldsOf(bytes, graphFields).map((field) => {
    if (field.name === "node") return nodeEntry(field);
    const label = `graph.${field.name} ${field.index}`;
    if (field.name === "name" || field.name === "doc_string") return { line: `${label} ${stringsOf(field)}` };
    // TensorProto.name is field 8, ValueInfoProto.name is field 1
    const named = textOf(lastBytes(field.bytes, field.name === "initializer" ? 8 : 1));
    const message = field.name === "initializer" ? undefined : onnxProto.onnx.ValueInfoProto;
    return {
      line: `${label} ${named} ${hash(field.bytes)}`,
      explain: () => (message ? JSON.stringify(message.decode(field.bytes)) : explainTensor(field.bytes)),
    };
  });
}

function functionEntries(bytes: Uint8Array): Entry[] {
  const name = textOf(lastBytes(bytes, 1));
  return fieldsOf(bytes, functionFields).map((field) => {
    const entry = field.name === "node" ? nodeEntry(field) : { line: `${field.name} ${stringsOf(field)}` };
    return { ...entry, line: `function ${name} ${entry.line}` };
  });
}

function nodeEntry({ index, bytes }: Field): Entry {
  const [name, opType] = [textOf(lastBytes(bytes, 3)), textOf(lastBytes(bytes, 4))];
  return {
    line: `node ${index} ${opType} ${name} ${hash(bytes)}`,
    explain: () => JSON.stringify(onnxProto.onnx.NodeProto.decode(bytes)),
  };
}

function explainTensor(bytes: Uint8Array): string {
  const { dims, dataType, rawData } = onnxProto.onnx.TensorProto.decode(bytes);
  const first = Buffer.from(rawData.subarray(0, 32)).toString("hex");
  return `dims [${dims.join(", ")}], data_type ${dataType}, ${rawData.length} bytes of raw_data: ${first}...`;
}

/** A field of a message as it is in the file. */
interface Field {
  readonly name: string;
  /** How many fields of the same name are before this field. */
  readonly index: number;
  readonly wireType: number;
  /** The content; for a number, its encoding. */
  readonly bytes: Uint8Array;
}

function fieldsOf(bytes: Uint8Array, names: ReadonlyMap<number, string>): Field[] {
  const reader = protobuf.Reader.create(bytes);
  const counts = new Map<string, number>();
  const fields: Field[] = [];
  while (reader.pos < bytes.length) {
    const tag = reader.uint32();
    const [id, wireType] = [tag >>> 3, tag & 7];
    const name = names.get(id) ?? `field${id}`;
    const index = counts.get(name) ?? 0;
    counts.set(name, index + 1);
    const start = reader.pos;
    if (wireType === 2) fields.push({ name, index, wireType, bytes: reader.bytes() });
    else {
      reader.skipType(wireType);
      fields.push({ name, index, wireType, bytes: bytes.subarray(start, reader.pos) });
    }
  }
  return fields;
}

/** The bytes of the last field with a number, as a protobuf decoder reads a field that is not repeated. */
function lastBytes(bytes: Uint8Array, id: number): Uint8Array {
  return (
    fieldsOf(bytes, new Map([[id, "found"]])).findLast(({ name }) => name === "found")?.bytes ??
    bytes.subarray(0, 0)
  );
}

/**
 * A number, a string, or a message of numbers and strings (an opset import, a metadata entry) as readable
 * text.
 */
function stringsOf({ name, wireType, bytes }: Field): string {
  if (wireType === 0) return String(protobuf.Reader.create(bytes).int64());
  if (name !== "opset_import" && name !== "metadata_props") return JSON.stringify(textOf(bytes));
  const parts = fieldsOf(bytes, new Map());
  return parts.map(stringsOf).join(" ");
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** 24 bits: the whole file has its SHA-256, this hash only finds the part that differs. */
function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 6);
}
