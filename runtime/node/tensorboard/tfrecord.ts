/**
 * TensorFlow's record files (tensorflow/core/lib/io/record_writer.h): for each record the length (uint64,
 * little-endian), its masked CRC32C, the bytes, and their masked CRC32C.
 */
const [HEADER, FOOTER] = [12, 4];

/** The CRC32C of each byte: Castagnoli's polynomial 0x1EDC6F41, reflected (RFC 3720). */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The CRC32C of some bytes, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

/** TensorFlow masks a CRC that is stored beside its data: rotated right by 15 bits, plus 0xa282ead8. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record with its length and checksums. */
export function encodeRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(HEADER + data.length + FOOTER);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(crc32c(record.subarray(0, 8))), true);
  record.set(data, HEADER);
  view.setUint32(HEADER + data.length, masked(crc32c(data)), true);
  return record;
}

/** The records of a file in their order, up to one that is damaged or that a killed process has cut. */
export function* decodeRecords(file: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let start = 0; start + HEADER + FOOTER <= file.length; ) {
    const length = view.getBigUint64(start, true);
    if (view.getUint32(start + 8, true) !== masked(crc32c(file.subarray(start, start + 8)))) return;
    const [from, end] = [start + HEADER, start + HEADER + Number(length)];
    if (end + FOOTER > file.length) return;
    const data = file.subarray(from, end);
    if (view.getUint32(end, true) !== masked(crc32c(data))) return;
    yield data;
    start = end + FOOTER;
  }
}
