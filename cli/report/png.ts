import { crc32, deflateSync } from "node:zlib";
import { at } from "../../graph-builder/at.ts";
import type { ImageSize } from "../../runtime/index.ts";

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** PNG's colour types by the number of channels: grey, red-green-blue, and that with alpha. */
const colourTypes: Readonly<Record<number, number>> = { 1: 0, 3: 2, 4: 6 };

/**
 * A PNG of raw pixels uint8 [channels, height, width], of one, three or four channels
 * (https://www.w3.org/TR/png-3/). Throws RangeError for another number of channels.
 */
export function encodePng(planes: Uint8Array, { channels, height, width }: ImageSize): Buffer {
  const colourType = colourTypes[channels];
  if (colourType === undefined) throw new RangeError(`a PNG has no ${channels} channels`);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colourType], 8);
  const area = height * width;
  const stride = width * channels + 1;
  // each row begins with its filter, 0 for none
  const rows = Buffer.alloc(height * stride);
  for (let channel = 0; channel < channels; channel++) {
    for (let place = 0; place < area; place++) {
      const to = Math.floor(place / width) * stride + 1 + (place % width) * channels + channel;
      rows[to] = at(planes, channel * area + place);
    }
  }
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(name: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), content]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(content.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}
