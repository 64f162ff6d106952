import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { inflateRawSync } from "node:zlib";
import { refusal } from "../../../artifacts/read-file.ts";
import { UserError } from "../../../graph-builder/errors.ts";

/**
 * A file in a wheel, which is a zip archive: where it lies and how it is packed (PKWARE's APPNOTE.TXT,
 * sections 4.3.7 and 4.3.12).
 */
interface Entry {
  readonly name: string;
  readonly isDeflated: boolean;
  readonly packedSize: number;
  readonly headerAt: number;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** The longest end of an archive: its record and a comment. */
const END_SIZE = 22 + 0xffff;

/** An opened Python wheel; `close` it when done. */
export class Wheel {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries: readonly Entry[];
  #checksums: ReadonlyMap<string, string> | undefined;

  private constructor(file: FileHandle, path: string, entries: readonly Entry[]) {
    this.#file = file;
    this.#path = path;
    this.#entries = entries;
  }

  /** Opens a wheel. Throws UserError where the file cannot be read or is no zip archive. */
  static async open(path: string): Promise<Wheel> {
    const file = await open(path).catch((error: unknown) => {
      throw refusal(path, "read", error);
    });
    try {
      return new Wheel(file, path, await readEntries(file));
    } catch (error) {
      await file.close();
      throw new UserError(`${path} is not a wheel, or it is cut off.`, {
        code: "file-damaged",
        cause: error,
      });
    }
  }

  /** The names of the files that match. */
  names(pattern: RegExp): string[] {
    return this.#entries.map(({ name }) => name).filter((name) => pattern.test(name));
  }

  /**
   * A file's bytes, compared with the SHA-256 that the wheel's RECORD has for it. Throws UserError where
   * there is no such file, where the record has no checksum for it, and where the checksums differ.
   */
  async read(name: string): Promise<Buffer> {
    const bytes = await this.#unpack(name);
    this.#checksums ??= await this.#readRecord();
    const wanted = this.#checksums.get(name);
    const found = createHash("sha256").update(bytes).digest("base64url");
    if (wanted === found) return bytes;
    throw new UserError(
      `${name} in ${this.#path} is damaged: its checksum is not that of the wheel's record.`,
      { code: "file-damaged" },
    );
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #readRecord(): Promise<Map<string, string>> {
    const [record] = this.names(/^[^/]+\.dist-info\/RECORD$/);
    if (record === undefined)
      throw new UserError(`${this.#path} has no record of its files.`, { code: "file-damaged" });
    const lines = (await this.#unpack(record)).toString("utf8").split(/\r?\n/);
    const found = lines.map((line) => /^"?(.*?)"?,sha256=([^,]+),/.exec(line));
    return new Map(found.flatMap((match) => (match ? [[match[1] ?? "", match[2] ?? ""]] : [])));
  }

  async #unpack(name: string): Promise<Buffer> {
    const entry = this.#entries.find((one) => one.name === name);
    if (!entry) throw new UserError(`${this.#path} does not hold ${name}.`, { code: "file-damaged" });
    try {
      return await this.#inflate(entry);
    } catch (error) {
      throw new UserError(`${this.#path} is damaged at ${name}.`, { code: "file-damaged", cause: error });
    }
  }

  /** The bytes of an entry. Throws Error where they are cut off or damaged, or more than 2 GiB. */
  async #inflate(entry: Entry): Promise<Buffer> {
    const header = await readAt(this.#file, entry.headerAt, 30);
    if (header.readUInt32LE(0) !== LOCAL) throw new Error("there is no header of a file");
    const dataAt = entry.headerAt + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    const packed = await readAt(this.#file, dataAt, entry.packedSize);
    return entry.isDeflated ? inflateRawSync(packed, { maxOutputLength: 2 ** 31 - 1 }) : packed;
  }
}

async function readEntries(file: FileHandle): Promise<Entry[]> {
  const { size } = await file.stat();
  const tail = await readAt(file, Math.max(0, size - END_SIZE), Math.min(size, END_SIZE));
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(END);
  const end = tail.lastIndexOf(mark);
  if (end < 0) throw new Error("there is no end of a zip archive");
  const directory = await readAt(file, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  const entries: Entry[] = [];
  for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === CENTRAL; ) {
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((field) =>
      directory.readUInt16LE(at + field),
    );
    entries.push({
      name: directory.toString("utf8", at + 46, at + 46 + (nameSize ?? 0)),
      isDeflated: directory.readUInt16LE(at + 10) === 8,
      packedSize: directory.readUInt32LE(at + 20),
      headerAt: directory.readUInt32LE(at + 42),
    });
    at += 46 + (nameSize ?? 0) + (extraSize ?? 0) + (commentSize ?? 0);
  }
  return entries;
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  // a damaged length must not take memory
  if (position + length > (await file.stat()).size) throw new Error("the file is cut off");
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error("the file is cut off");
  return buffer;
}
