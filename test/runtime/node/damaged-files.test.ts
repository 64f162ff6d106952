import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Wheel } from "../../../runtime/node/cuda/wheel.ts";
import { readPicture } from "../../../runtime/node/index.ts";
import { readJsonObject } from "../../../runtime/node/run/schema.ts";
import { messageOf } from "../../support/user-error.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "damaged-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a JPEG with several faults is refused in one line", async () => {
  const bytes = await sharp({ create: { width: 40, height: 30, channels: 3, background: "teal" } })
    .jpeg()
    .toBuffer();
  // the table's numbers of codes by length
  const counts = bytes.indexOf(Buffer.from([0xff, 0xc4])) + 5;
  bytes.fill(0xff, counts, counts + 16);
  const path = join(folder, "damaged.jpg");
  await writeFile(path, bytes);
  const message = await messageOf(readPicture(path, { height: 32, width: 32 }));
  expect(message).toMatch(/damaged\.jpg is not a picture that can be read: [^\n]+\.$/);
});

test("a PNG of a hundred bytes that says that it has 200 million pixels in lines of 16 million is refused at once", async () => {
  const bytes = await sharp({ create: { width: 12, height: 12, channels: 4, background: "teal" } })
    .png()
    .toBuffer();
  // IHDR: the width is at 16, and the checksum at 29 is of the chunk's name and content
  bytes.writeUInt32BE(0x0100000c, 16);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  const path = join(folder, "wide.png");
  await writeFile(path, bytes);
  expect(await messageOf(readPicture(path, { height: 8, width: 8 }))).toBe(
    `${path} is not a picture that can be read: it has more pixels than can be decoded.`,
  );
});

test("a text of several lines that is not JSON is refused in one line", async () => {
  const path = join(folder, "config.json");
  await writeFile(path, '{\n  "depth":\n  ,\n}');
  expect(await messageOf(readJsonObject(path))).toMatch(/^[^\n]*config\.json is not JSON: [^\n]+\.$/);
});

test("a wheel whose file is longer than the wheel, or is not deflated, is refused by name", async () => {
  const name = "x";
  const central = Buffer.alloc(47);
  central.writeUInt32LE(0x02014b50);
  central.writeUInt16LE(8, 10);
  central.writeUInt16LE(1, 28);
  central.write(name, 46);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  const local = Buffer.alloc(40, 0xff);
  local.writeUInt32LE(0x04034b50);
  local.writeUInt32LE(0, 26);
  end.writeUInt32LE(local.length, 16);
  for (const packedSize of [9, 0xffff_fff0]) {
    central.writeUInt32LE(packedSize, 20);
    const path = join(folder, "damaged.whl");
    await writeFile(path, Buffer.concat([local, central, end]));
    const wheel = await Wheel.open(path);
    expect(await messageOf(wheel.read(name))).toBe(`${path} is damaged at ${name}.`);
    await wheel.close();
  }
});
