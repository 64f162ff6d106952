/** A picture as interleaved bytes: red, green and blue, and alpha where there are 4 channels. */
export interface RawPicture {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
}

/** The most pixels of a picture, as sharp's limitInputPixels: 0x3FFF x 0x3FFF. */
const MOST_PIXELS = 0x3fff * 0x3fff;

/** The compressions whose rows are plain numbers: BI_RGB, BI_BITFIELDS and BI_ALPHABITFIELDS. */
const plainCompressions = [0, 3, 6];

const DAMAGED = "it is damaged or was cut off";

/** The bytes of four masks, which follow the first 40 bytes of the header. */
const MASK_BYTES = 16;

/** Whether a file is a BMP by its first bytes. */
export function isBmp(file: Uint8Array): boolean {
  return file[0] === 0x42 && file[1] === 0x4d;
}

/**
 * Reads an uncompressed Windows bitmap of 1, 4, 8, 16, 24 or 32 bits a pixel (BITMAPINFOHEADER and its
 * successors). Throws Error with the reason for another one, and for one that is damaged.
 */
export function decodeBmp(file: Uint8Array): RawPicture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 54) throw new Error(DAMAGED);
  const [start, headerSize] = [view.getUint32(10, true), view.getUint32(14, true)];
  const [width, rows] = [view.getInt32(18, true), view.getInt32(22, true)];
  const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)];
  const height = Math.abs(rows);
  if (headerSize < 40 || !plainCompressions.includes(compression) || ![1, 4, 8, 16, 24, 32].includes(bits)) {
    throw new Error("it is a BMP of a kind that is not read here, save it as PNG or JPEG");
  }
  if (!(width > 0 && height > 0)) throw new Error(DAMAGED);
  if (width * height > MOST_PIXELS) throw new Error("it has more pixels than can be decoded");
  const stride = 4 * Math.ceil((width * bits) / 32);
  const headerEnd = compression === 0 ? 54 : 54 + MASK_BYTES;
  if (Math.max(headerEnd, start + stride * height) > file.length) throw new Error(DAMAGED);
  const colours = coloursOf(view, { headerSize, bits, compression });
  const channels = colours.hasAlpha ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = start + stride * (rows > 0 ? height - 1 - row : row);
    for (let column = 0; column < width; column++) {
      const value = valueAt(view, from, column, bits);
      data.set(colours.of(value), (row * width + column) * channels);
    }
  }
  return { data, width, height, channels };
}

/** The number of a pixel in a row. */
function valueAt(view: DataView, from: number, column: number, bits: number): number {
  if (bits === 32) return view.getUint32(from + 4 * column, true);
  if (bits === 16) return view.getUint16(from + 2 * column, true);
  if (bits === 24) {
    const at = from + 3 * column;
    return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  }
  const perByte = 8 / bits;
  const byte = view.getUint8(from + Math.floor(column / perByte));
  return (byte >> (8 - bits * (1 + (column % perByte)))) & (2 ** bits - 1);
}

/** What the numbers of pixels mean. */
interface Colours {
  readonly hasAlpha: boolean;
  /** The red, green and blue of a number, and its alpha. */
  readonly of: (value: number) => readonly number[];
}

interface Header {
  readonly headerSize: number;
  readonly bits: number;
  readonly compression: number;
}

function coloursOf(view: DataView, { headerSize, bits, compression }: Header): Colours {
  if (bits <= 8) {
    const count = Math.min(view.getUint32(46, true) || 2 ** bits, 2 ** bits);
    const palette = Array.from({ length: count }, (_, i) => {
      const at = 14 + headerSize + 4 * i;
      return at + 4 > view.byteLength ? [0, 0, 0] : [2, 1, 0].map((byte) => view.getUint8(at + byte));
    });
    return { hasAlpha: false, of: (value) => palette[value] ?? [0, 0, 0] };
  }
  const given = compression === 0 ? [] : [0, 1, 2].map((i) => view.getUint32(54 + 4 * i, true));
  const usual = bits === 16 ? [0x7c00, 0x03e0, 0x001f] : [0xff0000, 0x00ff00, 0x0000ff];
  // the mask of alpha is a field of the header from version 3 on
  const alpha = compression !== 0 && headerSize >= 56 ? view.getUint32(66, true) : 0;
  const masks = [...(given.length > 0 ? given : usual), ...(alpha === 0 ? [] : [alpha])].map(maskOf);
  return { hasAlpha: alpha !== 0, of: (value) => masks.map((mask) => mask(value)) };
}

/** Reads the bits of a mask in a number as 0..255. */
function maskOf(mask: number): (value: number) => number {
  const low = mask === 0 ? 0 : Math.log2((mask & -mask) >>> 0);
  const largest = mask >>> low;
  return (value) => (largest === 0 ? 0 : Math.round((((value & mask) >>> low) * 255) / largest));
}
