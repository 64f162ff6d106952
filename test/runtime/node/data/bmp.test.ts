import { expect, test } from "vitest";
import { decodeBmp } from "../../../../runtime/node/data/bmp.ts";

interface BmpOptions {
  readonly bits: number;
  readonly width: number;
  readonly height: number;
  readonly rows: readonly (readonly number[])[];
  readonly palette?: readonly number[];
  readonly masks?: readonly number[];
}

/** A BMP of rows of bytes, the lowest row first unless the height is below 0. */
function bmp({ bits, width, height, rows, palette = [], masks = [] }: BmpOptions): Uint8Array {
  const headerSize = masks.length > 0 ? 56 : 40;
  const start = 14 + headerSize + palette.length;
  const stride = 4 * Math.ceil((width * bits) / 32);
  const file = Buffer.alloc(start + stride * rows.length);
  file.write("BM", "latin1");
  file.writeUInt32LE(start, 10);
  file.writeUInt32LE(headerSize, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(bits, 28);
  file.writeUInt32LE(masks.length > 0 ? 3 : 0, 30);
  file.writeUInt32LE(palette.length / 4, 46);
  for (const [i, mask] of masks.entries()) file.writeUInt32LE(mask >>> 0, 54 + 4 * i);
  Buffer.from(palette).copy(file, 14 + headerSize);
  for (const [i, row] of rows.entries()) Buffer.from(row).copy(file, start + i * stride);
  return file;
}

test("24 bits: blue, green, red, with the lowest row first", () => {
  const rows = [
    [1, 2, 3, 4, 5, 6],
    [7, 8, 9, 10, 11, 12],
  ];
  const { data, ...rest } = decodeBmp(bmp({ bits: 24, width: 2, height: 2, rows }));
  expect(rest).toEqual({ width: 2, height: 2, channels: 3 });
  expect([...data]).toEqual([9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4]);
  const down = decodeBmp(bmp({ bits: 24, width: 2, height: -2, rows }));
  expect([...down.data]).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
});

test("1, 4 and 8 bits: numbers of a palette", () => {
  const palette = [0, 0, 0, 0, 30, 20, 10, 0, 60, 50, 40, 0];
  const [black, first, second] = [
    [0, 0, 0],
    [10, 20, 30],
    [40, 50, 60],
  ];
  const one = decodeBmp(bmp({ bits: 1, width: 3, height: 1, rows: [[0b01000000]], palette }));
  expect([...one.data]).toEqual([black, first, black].flat());
  const four = decodeBmp(bmp({ bits: 4, width: 3, height: 1, rows: [[0x12, 0x00]], palette }));
  expect([...four.data]).toEqual([first, second, black].flat());
  const eight = decodeBmp(bmp({ bits: 8, width: 2, height: 1, rows: [[2, 1]], palette }));
  expect([...eight.data]).toEqual([second, first].flat());
});

test("a palette that says that it has four thousand million colours takes no more memory than 256", () => {
  const file = Buffer.from(
    bmp({ bits: 8, width: 1, height: 1, rows: [[1]], palette: [0, 0, 0, 0, 3, 2, 1, 0] }),
  );
  file.writeUInt32LE(0xffffffff, 46);
  expect([...decodeBmp(file).data]).toEqual([1, 2, 3]);
});

test("16 bits: five for each colour; 32 bits: masks, with alpha where they have one", () => {
  const row = Buffer.alloc(2);
  row.writeUInt16LE((31 << 10) | (0 << 5) | 31);
  expect([...decodeBmp(bmp({ bits: 16, width: 1, height: 1, rows: [[...row]] })).data]).toEqual([
    255, 0, 255,
  ]);
  const masks = [0xff, 0xff00, 0xff0000, 0xff000000];
  const { data, channels } = decodeBmp(bmp({ bits: 32, width: 1, height: 1, rows: [[1, 2, 3, 128]], masks }));
  expect(channels).toBe(4);
  expect([...data]).toEqual([1, 2, 3, 128]);
});

test.each([
  ["a cut-off file", (file: Uint8Array) => file.subarray(0, file.length - 1), /damaged or was cut off/],
  ["a compressed file", (file: Uint8Array) => file.with(30, 1), /a kind that is not read here/],
  ["a size of nothing", (file: Uint8Array) => file.fill(0, 18, 22), /damaged or was cut off/],
  [
    "masks that are cut off",
    (file: Uint8Array) => file.with(30, 3).subarray(0, 62),
    /damaged or was cut off/,
  ],
  ["too many pixels", (file: Uint8Array) => file.fill(0x7f, 18, 26), /more pixels than can be decoded/],
])("%s is refused", (_, change, message) => {
  const file = bmp({ bits: 24, width: 2, height: 1, rows: [[1, 2, 3, 4, 5, 6]] });
  expect(() => decodeBmp(change(Uint8Array.from(file)))).toThrow(message);
});
