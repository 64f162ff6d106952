import { createHash } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { parseJson } from "../../../../artifacts/json.ts";
import { refusal } from "../../../../artifacts/read-file.ts";
import { UserError } from "../../../../graph-builder/errors.ts";
import type { ImageSize } from "../../../data/types.ts";
import { pixelsOf } from "../../../data/types.ts";
import { readRange, writeRange } from "../../file-range.ts";
import { makeFolder } from "../../files.ts";
import { temporaryIn } from "../../temporary.ts";
import { picturesCache } from "./cache.ts";

/** Another number for other rows: of other rounding, or of another decoder. */
const FORMAT = 2;

const pictureSchema = z.object({
  path: z.string(),
  bytes: z.number(),
  modified: z.number(),
  changed: z.number(),
  hash: z.string(),
  width: z.number(),
  height: z.number(),
  fault: z.string().optional(),
  isTransparent: z.boolean().optional(),
});

const indexSchema = z.object({
  format: z.literal(FORMAT),
  size: z.object({ channels: z.int(), height: z.int(), width: z.int() }),
  background: z.array(z.number()),
  begun: z.number(),
  pictures: z.array(pictureSchema),
  sums: z.array(z.number()),
});

/** What a pack knows of a picture file, and by what it knows that the file is the same. */
export interface PackedPicture {
  readonly path: string;
  readonly bytes: number;
  readonly modified: number;
  readonly changed: number;
  /** SHA-256 of the file, hexadecimal. */
  readonly hash: string;
  /** The size of the picture in its file; 0 where it is broken. */
  readonly width: number;
  readonly height: number;
  /** Why the picture cannot be read. */
  readonly fault?: string | undefined;
  readonly isTransparent?: boolean | undefined;
}

/** The end of a pack file: what its rows are. */
export interface PackIndex {
  readonly format: typeof FORMAT;
  readonly size: ImageSize;
  /** The colour behind transparent pictures. */
  readonly background: readonly number[];
  /** When the pack was begun, in milliseconds since 1970. */
  readonly begun: number;
  /** In the order of the rows. */
  readonly pictures: readonly PackedPicture[];
  /** The CRC-32 of each row; 0 for the row of a broken picture, which is not written. */
  readonly sums: readonly number[];
}

/** The last bytes of a pack: the CRC-32 and the length of the index before them, and a word to know it by. */
const [MAGIC, FOOTER] = ["SHAKEPCK", 20];

/**
 * A file of decoded pictures: a row of pixels uint8 [channels, height, width] for each, then the index as
 * JSON, its CRC-32, its length and a mark. A pack is written once and appears whole.
 */
export class Pack {
  readonly path: string;
  readonly index: PackIndex;
  readonly #file: FileHandle;

  private constructor(path: string, index: PackIndex, file: FileHandle) {
    this.path = path;
    this.index = index;
    this.#file = file;
  }

  /** Opens a pack; undefined where it is missing, damaged, or of another format. */
  static async open(path: string): Promise<Pack | undefined> {
    const file = await open(path, "r").catch(() => undefined);
    if (!file) return undefined;
    const index = await readIndex(file).catch(() => undefined);
    if (index) {
      const now = new Date();
      await utimes(path, now, now).catch(() => {});
      return new Pack(path, index, file);
    }
    await file.close();
    return undefined;
  }

  /**
   * Copies `count` rows from `row` on into `out`. Where a row is not what was written, removes the file and
   * throws UserError, so that the next command decodes the pictures again.
   */
  async read(row: number, count: number, out: Uint8Array): Promise<void> {
    const bytes = pixelsOf(this.index.size);
    await readWhole(this.#file, out.subarray(0, count * bytes), row * bytes);
    for (let i = 0; i < count; i++) {
      if (crc32(out.subarray(i * bytes, (i + 1) * bytes)) === this.index.sums[row + i]) continue;
      await rm(this.path, { force: true }).catch(() => {});
      throw new UserError(
        `${this.path}, the file of decoded pictures, is damaged and was removed: run again, and they are decoded again.`,
        { code: "file-damaged", details: { path: this.path, row: row + i } },
      );
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** The path of the pack of a data set's pictures in a size, in the cache. */
export function packPath(dataPath: string, size: ImageSize): string {
  const key = createHash("sha256").update(dataPath).digest("hex").slice(0, 32);
  return join(picturesCache(), `${sizeName(size)}-${key}.pack`);
}

/**
 * The path of a part of a pack, numbered from 0. Parts are packs too: they keep what is decoded until the
 * whole pack is there.
 */
export function packPartPath(pack: string, part: number): string {
  return pack.replace(/pack$/, `part${part}.pack`);
}

/** The paths of all packs of a size. */
export async function packsOf(size: ImageSize): Promise<string[]> {
  const names = await readdir(picturesCache()).catch(() => []);
  const wanted = names.filter((name) => name.startsWith(`${sizeName(size)}-`) && name.endsWith(".pack"));
  return wanted.map((name) => join(picturesCache(), name));
}

function sizeName({ channels, height, width }: ImageSize): string {
  return `${channels}x${height}x${width}`;
}

/** A pack that is being written. */
export interface PackWriter {
  write(row: number, pixels: Uint8Array): Promise<void>;
}

/**
 * Writes a pack atomically: `fill` writes its rows and returns its index. Throws UserError where the system
 * refuses, and what `fill` throws.
 */
export async function writePack(
  path: string,
  size: ImageSize,
  fill: (writer: PackWriter) => Promise<Omit<PackIndex, "format" | "size" | "sums">>,
): Promise<void> {
  const folder = picturesCache();
  await makeFolder(folder);
  const temporary = await temporaryIn(folder);
  const bytes = pixelsOf(size);
  try {
    const file = await open(temporary, "wx");
    try {
      const sums: number[] = [];
      const filled = await fill({
        write: (row, pixels) => {
          sums[row] = crc32(pixels);
          return writeRange(file, pixels, row * bytes);
        },
      });
      const rows = filled.pictures.map((_, row) => sums[row] ?? 0);
      await writeIndex(file, { format: FORMAT, size, ...filled, sums: rows });
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw refusal(path, "written", error);
  }
}

/** Writes the index behind the rows of a pack, and the last bytes behind it. */
async function writeIndex(file: FileHandle, index: PackIndex): Promise<void> {
  const text = new TextEncoder().encode(JSON.stringify(index));
  const start = index.pictures.length * pixelsOf(index.size);
  await writeRange(file, text, start);
  const footer = Buffer.alloc(FOOTER);
  footer.writeUInt32LE(crc32(text));
  footer.writeBigUInt64LE(BigInt(text.length), 4);
  footer.write(MAGIC, 12, "latin1");
  await writeRange(file, footer, start + text.length);
}

/** The index of a pack; undefined where the file is another one, or where the index is damaged. */
async function readIndex(file: FileHandle): Promise<PackIndex | undefined> {
  const { size } = await file.stat();
  const footer = Buffer.alloc(FOOTER);
  await readWhole(file, footer, size - FOOTER);
  if (footer.toString("latin1", 12) !== MAGIC) return undefined;
  const length = Number(footer.readBigUInt64LE(4));
  if (length > size - FOOTER) return undefined;
  const text = Buffer.alloc(length);
  await readWhole(file, text, size - FOOTER - length);
  if (crc32(text) !== footer.readUInt32LE()) return undefined;
  const source = { where: "the index of a pack", code: "file-damaged" } as const;
  return parseJson(indexSchema, text.toString("utf8"), source);
}

async function readWhole(file: FileHandle, out: Uint8Array, position: number): Promise<void> {
  if (await readRange(file, out, position)) return;
  throw new Error("the file of decoded pictures was cut off");
}
