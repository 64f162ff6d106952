/** A file of an archive. */
export interface ZipEntry {
  /** The path in the archive, with forward slashes. */
  readonly name: string;
  readonly content: Blob;
  readonly crc: number;
}

/** The names are in UTF-8. */
const UTF8 = 0x0800;
/** 1 January 1980, the first date that the format has. */
const DATE = 0x0021;
const VERSION = 20;

/**
 * A .zip of files that are not compressed (PKWARE APPNOTE 6.3.9). Its parts are the files themselves, so
 * their contents are read when the archive is saved. It takes at most 65,535 files and 4 GiB.
 */
export function zipOf(entries: Iterable<ZipEntry>): Blob {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let [offset, directorySize, count] = [0, 0, 0];
  for (const { name, content, crc } of entries) {
    const path = new TextEncoder().encode(name);
    const common = [VERSION, UTF8, 0, 0, DATE] as const;
    const sizes = [crc, content.size, content.size] as const;
    const local = record(0x04034b50, common, sizes, [path.length, 0]);
    const central = record(
      0x02014b50,
      [VERSION, ...common],
      sizes,
      // length of the name, extra field, comment, disk, attributes inside and outside (32 bits), place
      [path.length, 0, 0, 0, 0, 0, 0, ...halves(offset)],
    );
    parts.push(local, path, content);
    directory.push(central, path);
    offset += local.length + path.length + content.size;
    directorySize += central.length + path.length;
    count += 1;
  }
  const end = record(0x06054b50, [0, 0, count, count], [directorySize, offset], [0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** A record: its signature, numbers of 16 bits, numbers of 32 bits, and numbers of 16 bits again. */
function record(
  signature: number,
  before: readonly number[],
  long: readonly number[],
  after: readonly number[],
): Uint8Array<ArrayBuffer> {
  const fields = [
    { value: signature, size: 4 },
    ...before.map((value) => ({ value, size: 2 })),
    ...long.map((value) => ({ value, size: 4 })),
    ...after.map((value) => ({ value, size: 2 })),
  ];
  const bytes = new Uint8Array(fields.reduce((sum, { size }) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let place = 0;
  for (const { value, size } of fields) {
    if (size === 4) view.setUint32(place, value, true);
    else view.setUint16(place, value, true);
    place += size;
  }
  return bytes;
}

function halves(value: number): readonly [low: number, high: number] {
  return [value & 0xffff, value >>> 16];
}
