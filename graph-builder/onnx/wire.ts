import protobuf, { type Reader, type Writer } from "protobufjs/minimal.js";
import { at } from "../at.ts";
import {
  type Field,
  type Message,
  type MessageName,
  type Scalar,
  schema,
  type UnknownField,
} from "./schema.ts";

/** The wire types of protobuf (protobuf.dev, "Encoding"). */
const VARINT = 0;
const BITS64 = 1;
const LENGTH = 2;
const BITS32 = 5;

interface ScalarCodec {
  readonly wireType: number;
  readonly write: (writer: Writer, value: unknown) => void;
  readonly read: (reader: Reader) => unknown;
}

const scalars: Readonly<Record<Scalar, ScalarCodec>> = {
  string: {
    wireType: LENGTH,
    write: (w, value) => w.string(value as string),
    read: readString,
  },
  bytes: { wireType: LENGTH, write: (w, value) => w.bytes(value as Uint8Array), read: (r) => r.bytes() },
  int32: { wireType: VARINT, write: (w, value) => w.int32(value as number), read: (r) => r.int32() },
  int64: { wireType: VARINT, write: writeInt64, read: (r) => readVarint(r, BigInt.asIntN) },
  uint64: { wireType: VARINT, write: writeInt64, read: (r) => readVarint(r, BigInt.asUintN) },
  float: { wireType: BITS32, write: (w, value) => w.float(value as number), read: (r) => r.float() },
  double: { wireType: BITS64, write: (w, value) => w.double(value as number), read: (r) => r.double() },
};

/** A field and how it is written and read. */
interface FieldCodec extends Field {
  readonly name: string;
  /** How the field's values are written and read; undefined for messages. */
  readonly scalar: ScalarCodec | undefined;
  /** The field's number and the wire type of one value: id << 3 | wireType. */
  readonly key: number;
}

interface MessageCodec {
  readonly name: string;
  /** The fields in the order in which they are written. */
  readonly fields: readonly FieldCodec[];
  /** The fields by number; undefined for a number that no field has. */
  readonly byId: readonly (FieldCodec | undefined)[];
}

const codecs = new Map(Object.entries(schema).map(([name, fields]) => [name, messageCodec(name, fields)]));

function messageCodec(messageName: string, declared: Readonly<Record<string, Field>>): MessageCodec {
  const fields = Object.entries(declared).map(([name, field]): FieldCodec => {
    const scalar = isScalar(field.type) ? scalars[field.type] : undefined;
    return { ...field, name, scalar, key: (field.id << 3) | (scalar?.wireType ?? LENGTH) };
  });
  const byId: (FieldCodec | undefined)[] = Array(1 + Math.max(...fields.map(({ id }) => id)));
  for (const field of fields) byId[field.id] = field;
  return { name: messageName, fields, byId };
}

function isScalar(type: string): type is Scalar {
  return Object.hasOwn(scalars, type);
}

function codecOf(type: string): MessageCodec {
  const codec = codecs.get(type);
  if (!codec) throw new Error(`ONNX has no message ${type}`);
  return codec;
}

// --- writing ---

/**
 * Returns the bytes of an ONNX message, with fields in the order of the schema. Equal messages give equal
 * bytes.
 */
export function encodeMessage<K extends MessageName>(name: K, message: Message<K>): Uint8Array {
  return encode(codecOf(name), message);
}

/**
 * Messages of which a file has thousands, and which hold no large tensors. Each is encoded by a writer of its
 * own, because protobufjs keeps an object for every write until `finish`, which makes garbage collection
 * slow.
 */
const numerous = new Set<string>(["NodeProto", "ValueInfoProto"] satisfies readonly MessageName[]);

function encode(codec: MessageCodec, message: object): Uint8Array {
  const writer = protobuf.Writer.create();
  writeMessage(writer, codec, message);
  return writer.finish();
}

function writeMessage(writer: Writer, { fields }: MessageCodec, message: object): void {
  const values = message as Readonly<Record<string, unknown>>;
  for (const field of fields) {
    const value = values[field.name];
    if (value === undefined || value === null) continue;
    if (!field.repeated) writeValue(writer, field, value);
    else if (field.packed) writePacked(writer, field, value as readonly unknown[]);
    else for (const element of value as readonly unknown[]) writeValue(writer, field, element);
  }
  const unknown = values["unknownFields"] as readonly UnknownField[] | undefined;
  for (const field of unknown ?? []) writeUnknown(writer, field);
}

function writeValue(writer: Writer, { key, scalar, type }: FieldCodec, value: unknown): void {
  writer.uint32(key);
  if (scalar) scalar.write(writer, value);
  else if (numerous.has(type)) writer.bytes(encode(codecOf(type), value as object));
  else {
    writer.fork();
    writeMessage(writer, codecOf(type), value as object);
    writer.ldelim();
  }
}

function writePacked(writer: Writer, { id, scalar }: FieldCodec, values: readonly unknown[]): void {
  if (values.length === 0) return;
  writer.uint32((id << 3) | LENGTH).fork();
  for (const value of values) scalar?.write(writer, value);
  writer.ldelim();
}

function writeUnknown(writer: Writer, { key, value }: UnknownField): void {
  writer.uint32(key);
  if (typeof value === "object") {
    if ((key & 7) === LENGTH) writer.bytes(value);
    else for (const word of new Uint32Array(new Uint8Array(value).buffer)) writer.fixed32(word);
  } else writeInt64(writer, value);
}

function writeInt64(writer: Writer, value: unknown): void {
  if (typeof value !== "bigint") writer.int64(Number(value));
  else {
    const [low, high] = [Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n))];
    writer.int64(new protobuf.util.LongBits(low, high).toLong());
  }
}

// --- reading ---

/** An unknown field in a message whose unknown fields cannot be kept. */
export class UnknownFieldError extends Error {
  override readonly name = "UnknownFieldError";
  readonly messageName: string;
  readonly field: number;

  constructor(messageName: string, field: number) {
    super(`its ${messageName} has the field ${field}, which is unknown`);
    this.messageName = messageName;
    this.field = field;
  }
}

/**
 * Reads an ONNX message from bytes. Fields that the schema does not have are kept in `unknownFields`; in the
 * messages that `refusing` names they throw UnknownFieldError. Throws Error where the bytes end too early or
 * are not a message of that kind.
 */
export function decodeMessage<K extends MessageName>(
  name: K,
  bytes: Uint8Array,
  refusing: ReadonlySet<string> = new Set(),
): Message<K> {
  const reader = createReader(bytes);
  return readMessage({ reader, refusing }, codecOf(name), bytes.length) as Message<K>;
}

/** A reader over the same memory. In Node it reads a Buffer, whose strings decode several times as fast. */
function createReader(bytes: Uint8Array): Reader {
  const NodeBuffer: unknown = protobuf.util.Buffer;
  const { buffer, byteOffset, byteLength } = bytes;
  return protobuf.Reader.create(
    isBufferClass(NodeBuffer) ? NodeBuffer.from(buffer, byteOffset, byteLength) : bytes,
  );
}

/** The part of Node's Buffer class that is used here; a browser has no Buffer. */
interface BufferClass {
  from(memory: ArrayBufferLike, offset: number, length: number): Uint8Array;
}

function isBufferClass(value: unknown): value is BufferClass {
  return typeof value === "function" && "from" in value;
}

interface Source {
  readonly reader: Reader;
  readonly refusing: ReadonlySet<string>;
}

function readMessage(source: Source, { name, byId }: MessageCodec, end: number): object {
  const { reader, refusing } = source;
  const message: Record<string, unknown> = {};
  while (reader.pos < end) {
    const key = reader.uint32();
    const field = byId[key >>> 3];
    if (field) readField(source, field, key & 7, message);
    else if (refusing.has(name)) throw new UnknownFieldError(name, key >>> 3);
    else {
      message["unknownFields"] ??= [];
      (message["unknownFields"] as UnknownField[]).push(readUnknown(reader, key));
    }
  }
  if (reader.pos !== end) throw new RangeError("a message ends inside one of its fields");
  return message;
}

function readField(
  source: Source,
  field: FieldCodec,
  wireType: number,
  message: Record<string, unknown>,
): void {
  const { name, scalar, repeated } = field;
  const isPacked = repeated && wireType === LENGTH && scalar !== undefined && scalar.wireType !== LENGTH;
  if (!isPacked && wireType !== (field.key & 7)) {
    throw new TypeError(`the field ${name} has the wrong wire type ${wireType}`);
  }
  if (!repeated) {
    message[name] = readValue(source, field);
    return;
  }
  message[name] ??= [];
  const list = message[name] as unknown[];
  if (!isPacked) list.push(readValue(source, field));
  else readPacked(source.reader, scalar, list);
}

function readPacked(reader: Reader, scalar: ScalarCodec, list: unknown[]): void {
  const length = reader.uint32();
  const end = reader.pos + length;
  while (reader.pos < end) list.push(scalar.read(reader));
  if (reader.pos !== end) throw new RangeError("a list ends inside one of its numbers");
}

function readValue(source: Source, { scalar, type }: FieldCodec): unknown {
  const { reader } = source;
  if (scalar) return scalar.read(reader);
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a message is cut off");
  return readMessage(source, codecOf(type), end);
}

/**
 * Reads a string. Throws RangeError where the bytes end inside it, which protobufjs does not check for a
 * Buffer.
 */
function readString(reader: Reader): string {
  const start = reader.pos;
  const length = reader.uint32();
  if (reader.pos + length > reader.len) throw new RangeError("a string is cut off");
  reader.pos = start;
  return reader.string();
}

function readUnknown(reader: Reader, key: number): UnknownField {
  const start = reader.pos;
  const wireType = key >>> 3 === 0 ? undefined : key & 7;
  switch (wireType) {
    case VARINT:
      return { key, value: readVarint(reader, BigInt.asUintN) };
    case LENGTH:
      return { key, value: reader.bytes() };
    case BITS32:
    case BITS64:
      reader.skip(wireType === BITS32 ? 4 : 8);
      return { key, value: reader.buf.slice(start, reader.pos) };
    default:
      throw new TypeError(`${key} is not a valid field key`);
  }
}

/** Reads an integer of up to 64 bits: a number where that is exact, else a bigint. */
function readVarint(reader: Reader, wrap: (bits: 64, value: bigint) => bigint): number | bigint {
  const { buf, pos } = reader;
  let length = 1;
  // a byte behind the end counts as the last byte; the number is refused below or by protobufjs
  while ((buf[pos + length - 1] ?? 0) & 0x80) length++;
  if (length <= 4) return reader.uint32();
  if (length > 10 || pos + length > reader.len) throw new RangeError("a number is cut off");
  let bits = 0n;
  for (let i = length - 1; i >= 0; i--) bits = (bits << 7n) | BigInt(at(buf, pos + i) & 0x7f);
  reader.pos += length;
  const value = wrap(64, bits);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
