import { type FileHandle, open, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { crc32, inflateRaw } from "node:zlib";
import { refuseSpecial } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { readRange } from "./file-range.ts";

const inflate = promisify(inflateRaw);

/** A file in a .zip. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly compressed: number;
  readonly bytes: number;
  /** The CRC-32 of its content. */
  readonly sum: number;
  /** Where its local header starts. */
  readonly offset: number;
}

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50 } as const;

/** The bytes of the end record, and of the locator of the 64-bit one in front of it. */
const [endBytes, locatorBytes] = [22, 20];

/**
 * The files of a .zip (PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3), with 64-bit sizes too. Throws UserError
 * for a file that is none, and where it is encrypted.
 */
export async function zipEntries(file: FileHandle, path: string): Promise<ZipEntry[]> {
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - 65_535 - endBytes - locatorBytes), size, path);
  const end = lastSignature(tail, signatures.end);
  if (end < 0 || end + endBytes > tail.length)
    throw damaged(path, "it has no directory, so it was cut off or is no .zip");
  let [count, length, start] = [
    tail.readUInt16LE(end + 10),
    tail.readUInt32LE(end + 12),
    tail.readUInt32LE(end + 16),
  ];
  if (count === 0xffff || start === 0xffffffff || length === 0xffffffff) {
    if (end < locatorBytes) throw damaged(path, "its directory is damaged");
    const at = Number(tail.readBigUInt64LE(end - locatorBytes + 8));
    const record = await readAt(file, at, at + 56, path);
    if (record.readUInt32LE(0) !== signatures.end64) throw damaged(path, "its directory is damaged");
    [count, length, start] = [32, 40, 48].map((offset) => Number(record.readBigUInt64LE(offset))) as [
      number,
      number,
      number,
    ];
  }
  return directory(await readAt(file, start, start + length, path), count, path);
}

function lastSignature(bytes: Buffer, signature: number): number {
  const wanted = Buffer.alloc(4);
  wanted.writeUInt32LE(signature);
  return bytes.lastIndexOf(wanted);
}

function directory(bytes: Buffer, count: number, path: string): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== signatures.central) {
      throw damaged(path, "its directory is damaged");
    }
    const nameEnd = at + 46 + bytes.readUInt16LE(at + 28);
    const extraEnd = nameEnd + bytes.readUInt16LE(at + 30);
    const commentLength = bytes.readUInt16LE(at + 32);
    const name = bytes.subarray(at + 46, nameEnd).toString("utf8");
    const isEncrypted = (bytes.readUInt16LE(at + 8) & 1) === 1;
    if (isEncrypted) throw damaged(path, `${name} is encrypted`);
    const extra = bytes.subarray(nameEnd, extraEnd);
    const [method, sum] = [bytes.readUInt16LE(at + 10), bytes.readUInt32LE(at + 16)];
    entries.push({ name, method, sum, ...sizes(bytes, at, extra) });
    at = extraEnd + commentLength;
  }
  return entries.filter(({ name }) => !name.endsWith("/"));
}

/** The sizes and the offset, of which those that do not fit 32 bits are in the extra field 1. */
function sizes(bytes: Buffer, at: number, extra: Buffer): Pick<ZipEntry, "compressed" | "bytes" | "offset"> {
  const wide: number[] = [];
  for (let field = 0; field + 4 <= extra.length; field += 4 + extra.readUInt16LE(field + 2)) {
    if (extra.readUInt16LE(field) !== 1) continue;
    const end = Math.min(extra.length, field + 4 + extra.readUInt16LE(field + 2));
    for (let value = field + 4; value + 8 <= end; value += 8) wide.push(Number(extra.readBigUInt64LE(value)));
  }
  const read = (offset: number) => {
    const narrow = bytes.readUInt32LE(at + offset);
    return narrow === 0xffffffff ? (wide.shift() ?? narrow) : narrow;
  };
  // the order of the extra field: size, compressed size, offset
  const whole = read(24);
  const compressed = read(20);
  return { bytes: whole, compressed, offset: read(42) };
}

/** The content of a file in a .zip. Throws UserError where it is damaged or compressed in another way. */
export async function readZipEntry(file: FileHandle, entry: ZipEntry, path: string): Promise<Buffer> {
  const { name, method, compressed, bytes, offset } = entry;
  const header = await readAt(file, offset, offset + 30, path);
  if (header.readUInt32LE(0) !== signatures.local) throw damaged(path, `${name} is damaged`);
  const start = offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  const content = await readAt(file, start, start + compressed, path);
  if (method !== 0 && method !== 8) throw damaged(path, `${name} is compressed in another way than Deflate`);
  const whole = method === 0 ? content : await inflated(content, bytes);
  if (whole?.length === bytes && crc32(whole) === entry.sum) return whole;
  throw damaged(path, `${name} is damaged`);
}

/** The inflated content; undefined where it is damaged, or longer than its directory says. */
function inflated(content: Buffer, bytes: number): Promise<Buffer | undefined> {
  const maxOutputLength = Math.min(Math.max(1, bytes), 2 ** 31 - 1);
  return inflate(content, { maxOutputLength }).catch(() => undefined);
}

async function readAt(file: FileHandle, start: number, end: number, path: string): Promise<Buffer> {
  // a damaged length must not take memory
  if (end > (await file.stat()).size) throw damaged(path, "it was cut off");
  const buffer = Buffer.alloc(Math.max(0, end - start));
  if (await readRange(file, buffer, start)) return buffer;
  throw damaged(path, "it was cut off");
}

function damaged(path: string, reason: string): UserError {
  return new UserError(`${path} cannot be unpacked: ${reason}.`, {
    code: "data-damaged",
    details: { path, reason },
  });
}

/** Calls `use` with an opened .zip. */
export async function withZip<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  refuseSpecial(path, "read", await stat(path));
  const file = await open(path, "r");
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
