import { expect, test } from "vitest";
import {
  ceilQuotientOf,
  type Dim,
  DimSymbol,
  differenceOf,
  elementCount,
  formatType,
  parseDim,
  productOf,
  quotientOf,
  sameDim,
  sameType,
  shapeOf,
  sumOf,
  tensorType,
} from "../../graph-builder/index.ts";

const dim = (given: number | string) => (typeof given === "string" ? parseDim(given) : given);

test.each([
  [[], 1],
  [[2, 3], 6],
  [["batch"], "batch"],
  [[4, "batch", 2], "8*batch"],
  [["8*batch", 2, "a"], "16*a*batch"],
  [["b", "a"], "a*b"],
  [["batch", 0], 0],
  [["batch+15", 2], "2*batch+30"],
  [["a+1", "a+2"], "a*a+3*a+2"],
  [["ceil(batch/16)", "a", 16], "16*a*ceil(batch/16)"],
] as const)("the product of %j is %j", (dims, product) => {
  expect(productOf(shapeOf(dims))).toEqual(dim(product));
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
  ["2*batch+30", "batch+15", 2],
  ["2*batch+30", 2, "batch+15"],
  ["a*a+3*a+2", "a+1", "a+2"],
  ["a*a+3*a+3", "a+1", undefined],
  ["16*a*ceil(batch/16)", "ceil(batch/16)", "16*a"],
] as const)("%j divided by %j is %j", (a, b, quotient) => {
  expect(quotientOf(dim(a), dim(b))).toEqual(quotient && dim(quotient));
});

test.each([
  [7, 4, 2],
  ["batch", 16, "ceil(batch/16)"],
  ["32*batch", 16, "2*batch"],
  ["8*batch", 16, "ceil(batch/2)"],
  ["32*a+b", 16, "2*a+ceil(b/16)"],
  ["batch+16", 16, "ceil(batch/16)+1"],
  ["6*batch+3", 9, "ceil((2*batch+1)/3)"],
] as const)("%j divided by %j and rounded up is %j, for every batch", (a, divisor, quotient) => {
  const result = ceilQuotientOf(dim(a), divisor);
  expect(result).toEqual(dim(quotient));
  for (const size of [1, 5, 16, 33]) {
    expect(elementCount([result], {}, size)).toBe(Math.ceil(elementCount([dim(a)], {}, size) / divisor));
  }
});

test("a divisor of a size must be a whole number above 0", () => {
  expect(() => ceilQuotientOf(dim("batch"), 0)).toThrow(RangeError);
  expect(() => ceilQuotientOf(8, 1.5)).toThrow(RangeError);
});

test("one dimension has one form, however it is computed", () => {
  const [batch, a] = [dim("batch"), dim("a")];
  const same: readonly (readonly [Dim, Dim])[] = [
    [sumOf(batch, a), sumOf(a, batch)],
    [sumOf(batch, batch), productOf([2, batch])],
    [sumOf(differenceOf(batch, a), a), batch],
    [differenceOf(sumOf(batch, 15), 15), batch],
    [differenceOf(batch, batch), 0],
    [productOf([sumOf(batch, 1), a]), sumOf(productOf([batch, a]), a)],
    [sumOf(differenceOf(dim("16*ceil(batch/16)"), batch), batch), dim("16*ceil(batch/16)")],
  ];
  for (const [one, other] of same) {
    expect(sameDim(one, other), `${one} and ${other}`).toBe(true);
    expect(one).toEqual(other);
  }
  const different: readonly (readonly [Dim, Dim])[] = [
    [batch, a],
    [batch, 1],
    [batch, sumOf(batch, 1)],
    [productOf([2, batch]), productOf([3, batch])],
    [dim("ceil(batch/4)"), dim("ceil(batch/8)")],
    [dim("ceil(batch/4)"), new DimSymbol("ceil(batch/4)")],
  ];
  for (const [one, other] of different) expect(sameDim(one, other), `${one} and ${other}`).toBe(false);
});

test("the text of a dimension is read as the same dimension", () => {
  const batch = dim("batch");
  const dims = [
    batch,
    sumOf(batch, 15),
    ceilQuotientOf(batch, 16),
    productOf([16, ceilQuotientOf(batch, 16)]),
    productOf([3, batch, batch, dim("a")]),
    ceilQuotientOf(sumOf(batch, dim("a")), 3),
    ceilQuotientOf(ceilQuotientOf(batch, 2), 3),
  ];
  for (const each of dims) expect(parseDim(String(each))).toEqual(each);
  expect(String(differenceOf(productOf([16, ceilQuotientOf(batch, 16)]), batch))).toBe(
    "16*ceil(batch/16)-batch",
  );
  expect(parseDim("12")).toBe(12);
});

test.each([
  "batch-size",
  "sequence length + 1",
  "n.1",
  "batch*2",
  "a+",
  "ceil(",
  "ceil(a/0)",
  "(a",
  "...",
  "2a",
  "",
])("the text %j is the name of a symbol", (text) => {
  expect(parseDim(text)).toEqual(new DimSymbol(text));
});

test("elements are counted with a number for each symbol, or the fallback", () => {
  expect(elementCount(shapeOf(["batch", 3, "2*batch"]), { batch: 5 })).toBe(150);
  expect(elementCount(shapeOf(["batch", 3]), {}, 4)).toBe(12);
  expect(elementCount(shapeOf(["batch", 3]))).toBe(3);
  expect(elementCount(shapeOf(["16*ceil(batch/16)", "batch+15"]), { batch: 20 })).toBe(32 * 35);
});

test("types print in ONNX's syntax and compare symbol by symbol", () => {
  expect(formatType(tensorType("float", ["batch", 3]))).toBe("float[batch, 3]");
  expect(formatType(tensorType("int64", []))).toBe("int64");
  expect(formatType({ kind: "sequence", elemType: "float" })).toBe("seq(float)");
  expect(sameType(tensorType("float", ["a"]), tensorType("float", ["a"]))).toBe(true);
  expect(sameType(tensorType("float", ["a"]), tensorType("float", ["b"]))).toBe(false);
  expect(sameType(tensorType("float", [1]), { kind: "sequence", elemType: "float" })).toBe(false);
});
