import { expect, test } from "vitest";
import { float16Bits } from "../../../../graph-builder/tensor.ts";

/** The number that a half's bits stand for (IEEE 754). */
function numberOf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15, (bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return sign ? -size : size;
}

test("every half is its own nearest", () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    for (const signed of [bits, bits | 0x8000]) expect(float16Bits(numberOf(signed))).toBe(signed);
  }
});

test("a number between two halves goes to the nearer, in the middle to the even one", () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [low, high] = [numberOf(bits), numberOf(bits + 1)];
    expect(float16Bits(low + 0.499 * (high - low))).toBe(bits);
    expect(float16Bits(low + 0.501 * (high - low))).toBe(bits + 1);
    expect(float16Bits((low + high) / 2)).toBe(bits % 2 === 0 ? bits : bits + 1);
  }
});

test("what is too large is infinite, what is too small zero, and no number stays none", () => {
  expect([65519, 65520, Infinity, -1e9].map(float16Bits)).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00]);
  expect([1e-9, -1e-9, 0, -0].map(float16Bits)).toEqual([0, 0x8000, 0, 0x8000]);
  expect(float16Bits(Number.NaN) & 0x7c00).toBe(0x7c00);
  expect(float16Bits(Number.NaN) & 0x3ff).toBeGreaterThan(0);
});
