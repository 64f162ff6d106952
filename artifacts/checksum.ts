const [PRIME1, PRIME2, PRIME3, PRIME4, PRIME5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1];

/**
 * The 32-bit xxHash (XXH32) of bytes, as an unsigned integer. It detects accidental damage, and no forgery.
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export function xxh32(bytes: Uint8Array, seed = 0): number {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const words = new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
  const striped = words.length - (words.length % 4);
  let hash = (striped > 0 ? hashStripes(words, striped, seed) : seed + PRIME5) + aligned.length;
  for (let i = striped; i < words.length; i++) {
    hash = Math.imul(rotate(hash + Math.imul(words[i] ?? 0, PRIME3), 17), PRIME4);
  }
  for (let i = 4 * words.length; i < aligned.length; i++) {
    hash = Math.imul(rotate(hash + Math.imul(aligned[i] ?? 0, PRIME5), 11), PRIME1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The four accumulators over the first `count` words, merged into one. */
function hashStripes(words: Int32Array, count: number, seed: number): number {
  let a = (seed + PRIME1 + PRIME2) | 0;
  let b = (seed + PRIME2) | 0;
  let c = seed | 0;
  let d = (seed - PRIME1) | 0;
  for (let i = 0; i < count; i += 4) {
    a = Math.imul(rotate(a + Math.imul(words[i] ?? 0, PRIME2), 13), PRIME1);
    b = Math.imul(rotate(b + Math.imul(words[i + 1] ?? 0, PRIME2), 13), PRIME1);
    c = Math.imul(rotate(c + Math.imul(words[i + 2] ?? 0, PRIME2), 13), PRIME1);
    d = Math.imul(rotate(d + Math.imul(words[i + 3] ?? 0, PRIME2), 13), PRIME1);
  }
  return rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
