import { expect, test } from "vitest";
import { createBuilder, Graph } from "../../graph-builder/index.ts";
import { float16Bits, float16Value, Tensor, tensorOf } from "../../graph-builder/tensor.ts";

test("every half but NaN is the number whose bits it has", () => {
  for (let bits = 0; bits < 2 ** 16; bits++) {
    const value = float16Value(bits);
    if (Number.isNaN(value)) expect((bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) > 0).toBe(true);
    else if (float16Bits(value) !== bits) expect(float16Bits(value)).toBe(bits);
  }
  const samples = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x3555, 0x7c00, 0xfc00];
  expect(samples.map(float16Value)).toEqual([
    ...[1, -2, 65504, 2 ** -24, 2 ** -14, 0.333251953125],
    ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ]);
});

test.each(["float16", "bfloat16", "float", "double"] as const)(
  "numbers of %s are read as they were given",
  (type) => {
    const values = [0, 1, -2.5, 0.0078125, 128, Number.POSITIVE_INFINITY];
    expect(tensorOf(type, values).numbers()).toEqual(values);
  },
);

test.each(["float8e4m3fn", "float8e5m2fnuz", "int4", "uint4", "float4e2m1", "uint2"] as const)(
  "elements of %s are not read as numbers",
  (type) => {
    expect(() => new Tensor(type, [1], Uint8Array.of(1)).numbers()).toThrow(
      `${type} elements are not read as numbers`,
    );
  },
);

test.each(["float16", "bfloat16", "float"] as const)(
  "a Range of %s has the length of its numbers",
  (type) => {
    const g = createBuilder(new Graph("range"));
    const [start, limit, delta] = [1, 4, 0.5].map((value) => g.constant(tensorOf(type, value)));
    if (!start || !limit || !delta) throw new Error("a range has three numbers");
    expect(g.Range(start, limit, delta).shape).toEqual([6]);
  },
);
