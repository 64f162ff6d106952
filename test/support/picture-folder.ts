import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import sharp from "sharp";

/** A PNG of one colour, with a pixel that makes it differ from others of the same colour. */
export function png(colour: string, mark = 0, side = 12): Promise<Buffer> {
  const picture = sharp({ create: { width: side, height: side, channels: 3, background: colour } });
  const dot = { create: { width: 1, height: 1, channels: 3 as const, background: { r: mark, g: 0, b: 0 } } };
  return picture
    .composite([{ input: dot, left: 0, top: 0 }])
    .png()
    .toBuffer();
}

/** Writes files by their paths below a folder. */
export function writeFiles(root: string, files: Readonly<Record<string, Uint8Array | string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

/** Pictures by path: `count` of each class, which is the name of a colour. */
export async function colourPictures(
  counts: Readonly<Record<string, number>>,
  prefix = "",
): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const [colour, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) files[`${prefix}${colour}/${i}.png`] = await png(colour, i);
  }
  return files;
}

/** A .zip of files, deflated. */
export function zipOf(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const packed = deflateRawSync(content);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), shared, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), shared, rest, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}
