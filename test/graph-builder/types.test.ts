import { expect, test } from "vitest";
import {
  elementCount,
  formatType,
  productOf,
  quotientOf,
  sameType,
  tensorType,
} from "../../graph-builder/index.ts";

test.each([
  [[], 1],
  [[2, 3], 6],
  [["batch"], "batch"],
  [[4, "batch", 2], "8*batch"],
  [["8*batch", 2, "a"], "16*a*batch"],
  [["b", "a"], "a*b"],
  [["batch", 0], 0],
] as const)("the product of %j is %j", (dims, product) => {
  expect(productOf(dims)).toBe(product);
});

test.each([
  [6, 3, 2],
  [6, 4, undefined],
  ["8*batch", 2, "4*batch"],
  ["8*batch", "batch", 8],
  ["8*batch", "2*batch", 4],
  ["a*b", "b", "a"],
  ["batch", "other", undefined],
  ["batch", 2, undefined],
  [6, 0, undefined],
] as const)("%j divided by %j is %j", (a, b, quotient) => {
  expect(quotientOf(a, b)).toBe(quotient);
});

test("elements are counted with a number for each symbol, or the fallback", () => {
  expect(elementCount(["batch", 3, "2*batch"], { batch: 5 })).toBe(150);
  expect(elementCount(["batch", 3], {}, 4)).toBe(12);
  expect(elementCount(["batch", 3])).toBe(3);
  expect(elementCount(["16*ceil(batch/16)", "batch+15"], { batch: 20 })).toBe(32 * 35);
});

test("types print in ONNX's syntax and compare symbol by symbol", () => {
  expect(formatType(tensorType("float", ["batch", 3]))).toBe("float[batch, 3]");
  expect(formatType(tensorType("int64", []))).toBe("int64");
  expect(formatType({ kind: "sequence", elemType: "float" })).toBe("seq(float)");
  expect(sameType(tensorType("float", ["a"]), tensorType("float", ["a"]))).toBe(true);
  expect(sameType(tensorType("float", ["a"]), tensorType("float", ["b"]))).toBe(false);
  expect(sameType(tensorType("float", [1]), { kind: "sequence", elemType: "float" })).toBe(false);
});
