import { ByteBuffer } from "flatbuffers";

/** Bytes that are no valid FlatBuffer. The message is a clause without a full stop. */
export class FlatBufferError extends Error {
  override readonly name = "FlatBufferError";
}

/**
 * Reads a table of an untrusted FlatBuffer: every offset is checked against the end of the bytes before it is
 * followed, so damaged bytes throw FlatBufferError. A field is named by its slot, its index in the schema.
 * https://flatbuffers.dev/internals/
 */
export class FlatBufferTable {
  readonly #buffer: ByteBuffer;
  readonly #position: number;
  readonly #size: number;
  readonly #vtable: number;
  readonly #vtableSize: number;

  private constructor(buffer: ByteBuffer, position: number) {
    this.#buffer = buffer;
    this.#position = position;
    this.#check(position, 4);
    this.#vtable = position - buffer.readInt32(position);
    this.#check(this.#vtable, 4);
    this.#vtableSize = buffer.readUint16(this.#vtable);
    this.#size = buffer.readUint16(this.#vtable + 2);
    if (this.#vtableSize < 4 || this.#vtableSize % 2 !== 0)
      throw new FlatBufferError("a table has no layout");
    this.#check(this.#vtable, this.#vtableSize);
    this.#check(position, Math.max(4, this.#size));
  }

  /** The root table; throws FlatBufferError where the bytes do not carry the 4-character identifier. */
  static root(bytes: Uint8Array, identifier: string): FlatBufferTable {
    const buffer = new ByteBuffer(bytes);
    if (bytes.length < 8 || !buffer.__has_identifier(identifier)) {
      throw new FlatBufferError(`it does not carry the identifier ${identifier}`);
    }
    return new FlatBufferTable(buffer, buffer.readUint32(0));
  }

  /** A 32-bit integer, 0 where absent. */
  int32(slot: number): number {
    const at = this.#field(slot, 4);
    return at === undefined ? 0 : this.#buffer.readInt32(at);
  }

  /** A 64-bit integer, 0 where absent. */
  int64(slot: number): bigint {
    const at = this.#field(slot, 8);
    return at === undefined ? 0n : this.#buffer.readInt64(at);
  }

  /** A float, 0 where absent. */
  float32(slot: number): number {
    const at = this.#field(slot, 4);
    return at === undefined ? 0 : this.#buffer.readFloat32(at);
  }

  /** A truth value, false where absent. */
  bool(slot: number): boolean {
    const at = this.#field(slot, 1);
    return at !== undefined && this.#buffer.readUint8(at) !== 0;
  }

  /** A required string. */
  string(slot: number): string {
    const { start, length } = this.#vector(slot, 1);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        this.#buffer.bytes().subarray(start, start + length),
      );
    } catch {
      throw new FlatBufferError("a name is not text");
    }
  }

  /** The bytes of a required vector, as a view. */
  bytes(slot: number): Uint8Array {
    const { start, length } = this.#vector(slot, 1);
    return this.#buffer.bytes().subarray(start, start + length);
  }

  /** A required vector of 64-bit integers. */
  int64s(slot: number): bigint[] {
    const { start, length } = this.#vector(slot, 8);
    return Array.from({ length }, (_, i) => this.#buffer.readInt64(start + 8 * i));
  }

  /** The tables of a vector, one after the other; none where it is absent. */
  *tables(slot: number): Generator<FlatBufferTable> {
    if (!this.has(slot)) return;
    const { start, length } = this.#vector(slot, 4);
    for (let i = 0; i < length; i++) yield new FlatBufferTable(this.#buffer, this.#indirect(start + 4 * i));
  }

  /** A table, or undefined where it is absent. */
  table(slot: number): FlatBufferTable | undefined {
    const at = this.#field(slot, 4);
    return at === undefined ? undefined : new FlatBufferTable(this.#buffer, this.#indirect(at));
  }

  /** Whether a field is present. */
  has(slot: number): boolean {
    return this.#field(slot, 1) !== undefined;
  }

  #field(slot: number, size: number): number | undefined {
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#vtableSize) return undefined;
    const offset = this.#buffer.readUint16(this.#vtable + entry);
    if (offset === 0) return undefined;
    if (offset < 4 || offset + size > this.#size) throw new FlatBufferError("a field lies outside its table");
    return this.#position + offset;
  }

  #vector(slot: number, elementSize: number): { start: number; length: number } {
    const at = this.#field(slot, 4);
    if (at === undefined) throw new FlatBufferError("a required field is missing");
    const start = this.#indirect(at) + 4;
    this.#check(start - 4, 4);
    const length = this.#buffer.readUint32(start - 4);
    this.#check(start, length * elementSize);
    return { start, length };
  }

  #indirect(at: number): number {
    return at + this.#buffer.readUint32(at);
  }

  #check(start: number, size: number): void {
    if (start < 0 || start + size > this.#buffer.capacity()) throw new FlatBufferError("it ends too early");
  }
}
