import { expect, test } from "vitest";
import { DimSymbol, parseDim, tensorType } from "../../../../graph-builder/index.ts";
import { decodePlain, encodePlain } from "../../../../runtime/node/compiled/plain-data.ts";

test("what lowered models are made of is decoded as it was", () => {
  const data = {
    models: [
      { bytes: Uint8Array.of(1, 2, 3), isLaidOut: false, sizes: [0, -1, 2.5, 1e300] },
      { bytes: new Uint8Array(), isLaidOut: true, sizes: [] },
      null,
    ],
    type: tensorType("float", ["batch", 3, "8*batch", "ceil(batch/16)", "sequence length + 1"]),
    states: new Map([
      ["ä.weight", { shape: [new DimSymbol("batch")], bytes: Uint8Array.of(255) }],
      ["__proto__", { shape: [parseDim("batch+1")], bytes: Uint8Array.of(7) }],
    ]),
  };
  const bytes = encodePlain(data);
  expect(bytes && decodePlain(bytes)).toStrictEqual(data);
});

test("byte arrays are copies, and fields that are undefined are left out", () => {
  const bytes = encodePlain({ model: Uint8Array.of(1, 2), evaluate: undefined });
  if (!bytes) throw new Error("not encoded");
  const decoded = decodePlain(bytes);
  bytes.fill(0);
  expect(decoded).toStrictEqual({ model: Uint8Array.of(1, 2) });
});

test.each([
  ["a class's object", { tensor: new (class Tensor {})() }],
  ["a list with a hole", { list: [1, undefined] }],
  ["no number", { size: Number.NaN }],
  ["a bigint", { step: 1n }],
  ["a function", { rule: () => 1 }],
  ["other arrays", { weights: Float32Array.of(1) }],
  ["the key of a mark", { $bytes: [0, 1] }],
])("%s is not encoded", (_, data) => {
  expect(encodePlain({ outer: [data] })).toBeUndefined();
});
