import { expect, test } from "vitest";
import { xxh32 } from "../../artifacts/checksum.ts";

const ramp = (length: number) => Uint8Array.from({ length }, (_, i) => 7 * i + 3);

// by the C implementation (xxhash 0.8)
const published: [number, number, number][] = [
  [0, 0x02cc5d05, 0x36b78ae7],
  [1, 0x21ae663a, 0x99bafee8],
  [3, 0xcd3d2242, 0x51c57254],
  [4, 0x725479f2, 0xf9528875],
  [15, 0x82d3c84d, 0x321e160f],
  [16, 0x8845547d, 0xd392828c],
  [17, 0x450e5f84, 0x65172c35],
  [63, 0x0bedc2f7, 0xa484df78],
  [100, 0x73091a4d, 0x037b139b],
  [1000, 0xc85a5152, 0x6ac0851c],
];

test.each(published)("%i bytes hash as in the reference implementation", (length, unseeded, seeded) => {
  expect(xxh32(ramp(length))).toBe(unseeded);
  expect(xxh32(ramp(length), 0x9e3779b1)).toBe(seeded);
});

test("bytes that start off a word boundary hash the same, also as a Node Buffer", () => {
  const shifted = Buffer.concat([Buffer.of(0), ramp(1000)]).subarray(1);
  expect(xxh32(shifted)).toBe(0xc85a5152);
});
