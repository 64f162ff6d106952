import { at } from "./at.ts";
import { UserError } from "./errors.ts";

/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
 * (SC 2011): writes to `out` the four uint32 words that belong to a counter of four words and a key of two.
 */
export function philox4x32(
  out: Uint32Array,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low0 = Math.imul(0xd2511f53, c0);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The upper 32 bits of the 64-bit product of two uint32. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + (Math.imul(aLow, bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) | 0;
}

/** The 64-bit FNV-1a hash of the UTF-16 code units of a stream's name. */
export function hashName(name: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < name.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(name.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash;
}

/**
 * Random numbers as a pure function of (seed, stream, index): the same index gives the same number in any
 * order of calls, and after a resume. The seed is the key of Philox. The hashed name of the stream is the
 * upper half of the counter, and the index is the lower half. Streams with different names are independent.
 * Every index is a non-negative safe integer.
 */
export class RandomStream {
  readonly #k0: number;
  readonly #k1: number;
  readonly #c2: number;
  readonly #c3: number;
  readonly #words = new Uint32Array(4);
  #block = -1;

  /** Throws a UserError where the seed is not an integer from 0 to 2^53 - 1. */
  constructor(seed: number, stream: string) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UserError(`The seed must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}, not ${seed}.`, {
        code: "setting-invalid",
      });
    }
    const name = hashName(stream);
    this.#k0 = seed | 0;
    this.#k1 = Math.floor(seed / 2 ** 32);
    this.#c2 = Number(name & 0xffffffffn);
    this.#c3 = Number(name >> 32n);
  }

  /** The uint32 at `index`. */
  uint32(index: number): number {
    const block = Math.floor(index / 4);
    if (block !== this.#block) {
      philox4x32(this.#words, block | 0, Math.floor(block / 2 ** 32), this.#c2, this.#c3, this.#k0, this.#k1);
      this.#block = block;
    }
    return at(this.#words, index % 4);
  }

  /** A number in [0, 1), uniform over the multiples of 2^-24, which float32 represents exactly. */
  uniform(index: number): number {
    return (this.uint32(index) >>> 8) * 2 ** -24;
  }

  /**
   * A standard normal number by the Box-Muller transform. An even index gives the cosine, and the odd index
   * after it the sine, of the same pair of uniform numbers.
   */
  normal(index: number): number {
    const pair = index - (index % 2);
    const radius = Math.sqrt(-2 * Math.log((this.uint32(pair) + 1) * 2 ** -32));
    const angle = 2 * Math.PI * 2 ** -32 * this.uint32(pair + 1);
    return radius * (index === pair ? Math.cos(angle) : Math.sin(angle));
  }

  /**
   * An integer in [0, bound), with a bound of at most 2^32. The probabilities of two integers differ by at
   * most a factor of 1 + bound / 2^32.
   */
  integer(index: number, bound: number): number {
    return Math.floor((this.uint32(index) * bound) / 2 ** 32);
  }

  /** A permutation of 0 .. length - 1 by the Fisher-Yates shuffle; each `index` gives a different shuffle. */
  permutation(length: number, index: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(index * length + i, i + 1);
      const swapped = at(order, i);
      order[i] = at(order, j);
      order[j] = swapped;
    }
    return order;
  }

  /** Fills `out` with uniform(startIndex), uniform(startIndex + 1), ... */
  fillUniform(out: Float32Array, startIndex = 0): void {
    for (let i = 0; i < out.length; i++) out[i] = this.uniform(startIndex + i);
  }

  /** Fills `out` with normal(startIndex), normal(startIndex + 1), ..., rounded to float32. */
  fillNormal(out: Float32Array, startIndex = 0): void {
    for (let i = 0; i < out.length; i++) out[i] = this.normal(startIndex + i);
  }
}
